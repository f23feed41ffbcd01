"""Likelihoods: ``base`` what all are · ``bernoulli`` · ``discretised_logistic`` · ``discretised_logistic_mixture``."""

from __future__ import annotations

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models.likelihoods.base import Likelihood, centred
from iafsweep.models.likelihoods.bernoulli import Bernoulli
from iafsweep.models.likelihoods.discretised_logistic import DiscretisedLogistic
from iafsweep.models.likelihoods.discretised_logistic_mixture import DiscretisedLogisticMixture
from iafsweep.models.registry import find_member

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "discretised_logistic": DiscretisedLogistic,
    "discretised_logistic_mixture": DiscretisedLogisticMixture,
}
"""Every likelihood, by the name configurations use."""


def build_likelihood(config: LikelihoodConfig, image: ImageFormat) -> Likelihood:
    """Make the likelihood that ``config.kind`` names, or the one that is the default for images of this format.

    Raises:
        ValueError: there is no such likelihood, or it is none of images of this format.
    """
    return find_member(LIKELIHOODS, "likelihood", config.resolved(image)).from_config(config, image)


__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "DiscretisedLogistic",
    "DiscretisedLogisticMixture",
    "Likelihood",
    "build_likelihood",
    "centred",
]
