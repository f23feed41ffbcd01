"""Heads, which turn a decoder's maps into p(x|z): ``base`` the base class · ``off`` no head · ``pixelcnn``."""

from __future__ import annotations

from iafsweep.config import AutoregressiveConfig
from iafsweep.models.heads.base import Head
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood


def with_head(likelihood: PixelLikelihood, config: AutoregressiveConfig) -> Likelihood:
    """Return the likelihood of images with the head that ``config.kind`` names.

    Raises:
        PluginError: its plugin is not loaded.
    """
    head: type[Head] = config.family.load(config.kind)
    return head.from_config(config, likelihood)


__all__ = ["Head", "with_head"]
