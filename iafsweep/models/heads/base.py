"""Base class of heads, which turn a likelihood of pixels into one of images."""

from __future__ import annotations

from abc import ABC, abstractmethod

from iafsweep.config import AutoregressiveConfig
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood


class Head(ABC):
    """Sits between the decoder and the likelihood of a pixel, and may condition a pixel on the pixels before it."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: AutoregressiveConfig, pixel: PixelLikelihood) -> Likelihood:
        """Return p(x|z) of images, with the sizes in the head's own section of ``config``.

        Args:
            config: the configuration of the head.
            pixel: likelihood of the values of one pixel, given its parameters.
        """
