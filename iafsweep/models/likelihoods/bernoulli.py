"""The `bernoulli` likelihood: independent bits."""

from __future__ import annotations

from typing import final

from torch import Tensor

from iafsweep.config import ImageFormat, LikelihoodConfig
from iafsweep.models.densities import bernoulli_log_density
from iafsweep.models.likelihoods.base import PixelLikelihood
from iafsweep.models.passes import Passes


@final
class Bernoulli(PixelLikelihood):
    """``p(x|z) = prod p^x (1 - p)^(1 - x)`` with ``p = sigmoid(logit)``, one logit per value."""

    def __init__(self, image: ImageFormat) -> None:
        if image.dimensions is not None:
            raise ValueError(f"`bernoulli` is a likelihood of bits, but these images have {image.levels} levels")
        super().__init__(image, tuple(range(image.shape[0])), image.shape[0])

    @classmethod
    def from_config(cls, config: LikelihoodConfig, image: ImageFormat) -> Bernoulli:
        """Make the likelihood; it has no sizes."""
        return cls(image)

    def log_density(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return log p(x|z), nats per image; x may hold probabilities too."""
        return bernoulli_log_density(x.flatten(-3), parameters.flatten(-3))

    def from_noise(self, parameters: Tensor, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Draw bits."""
        return (noise < parameters.sigmoid()).to(parameters.dtype)

    def most_probable(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the bits that are more probable than not."""
        return (parameters > 0).to(parameters.dtype)

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the probabilities p(x=1|z)."""
        return parameters.sigmoid()
