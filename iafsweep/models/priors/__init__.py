"""Priors of the latent variables.

``base`` the base classes · ``standard_normal`` · ``autoregressive`` masked autoregressive flow · ``spline_coupling`` ·
``vamp`` a mixture of posteriors.
"""

from __future__ import annotations

from iafsweep.config import ImageFormat, PriorConfig
from iafsweep.models.encoders import Encoder
from iafsweep.models.priors.base import Prior
from iafsweep.models.priors.standard_normal import StandardNormalPrior


def build_prior(
    config: PriorConfig, latent_size: int, image: ImageFormat, encoder: Encoder, posterior_offset: float
) -> Prior:
    """Make the prior that ``config.kind`` names; arguments as in :meth:`Prior.from_config`.

    Raises:
        PluginError: its plugin is not loaded.
        ValueError: its networks are too narrow for the latent size.
    """
    member: type[Prior] = config.family.load(config.kind)
    return member.from_config(config, latent_size, image, encoder, posterior_offset)


__all__ = ["Prior", "StandardNormalPrior", "build_prior"]
