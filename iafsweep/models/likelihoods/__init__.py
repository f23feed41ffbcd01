"""Likelihoods: ``base`` base classes · ``bernoulli`` · ``discretised_logistic`` · ``discretised_logistic_mixture``."""

from __future__ import annotations

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models.likelihoods.base import Likelihood, PixelLikelihood, centred


def build_likelihood(config: LikelihoodConfig, image: ImageFormat) -> PixelLikelihood:
    """Make the likelihood that ``config.kind`` names, or the default for images of this format.

    Raises:
        PluginError: its plugin is not loaded.
        ValueError: the likelihood does not fit images of this format.
    """
    member: type[PixelLikelihood] = config.family.load(config.resolved(image))
    return member.from_config(config, image)


__all__ = ["Likelihood", "PixelLikelihood", "build_likelihood", "centred"]
