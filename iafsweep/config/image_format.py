"""What an image is to a model."""

from __future__ import annotations

import math
from typing import NamedTuple


class ImageFormat(NamedTuple):
    """What an image is to a model: after binarisation, if there is one.

    Attributes:
        shape: channels, height, width.
        levels: how many values L each value of an image can have, 0 to L - 1; 2 of bits.
    """

    shape: tuple[int, int, int]
    levels: int = 2

    @property
    def dimensions(self) -> int | None:
        """Over how many values of an image its nats are spread where bits per dimension are told; None for bits."""
        return None if self.levels == 2 else math.prod(self.shape)  # noqa: PLR2004 - a bit has two values

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))}, {self.levels} levels"
