"""No head: the decoder's maps are the parameters of the pixels."""

from __future__ import annotations

from typing import final

from iafsweep.config import AutoregressiveConfig
from iafsweep.models.heads.base import Head
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood


@final
class Off(Head):
    """Pixels are independent given z."""

    @classmethod
    def from_config(cls, config: AutoregressiveConfig, pixel: PixelLikelihood) -> Likelihood:
        """Return the likelihood of pixels unchanged."""
        return pixel
