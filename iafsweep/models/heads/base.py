"""What every head is: it makes a likelihood of images out of one of pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod

from iafsweep.config import AutoregressiveConfig
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood


class Head(ABC):
    """Stands between the decoder and the likelihood of a pixel, and may let a pixel see the pixels before it."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: AutoregressiveConfig, pixel: PixelLikelihood) -> Likelihood:
        """Return p(x|z) of images, with the sizes its own section of ``config`` gives.

        Args:
            config: of all heads.
            pixel: of the values of one pixel, given its parameters.
        """
