"""Nats per image as bits per dimension, in which images that are not bits are compared."""

from __future__ import annotations

import math


def bits_per_dim(nats: float, dimensions: int | None) -> float | None:
    """Return ``nats / (dimensions ln 2)``; None of bits, which have no dimensions here."""
    return None if dimensions is None else nats / (dimensions * math.log(2))


def bits_text(bits: float | None, before: str = " ") -> str:
    """Return bits per dimension as they stand behind nats; nothing of None."""
    return "" if bits is None else f"{before}({bits:.3f} bits/dim)"


def nats_text(nats: float, dimensions: int | None) -> str:
    """Return nats per image for people, with bits per dimension beside them if the images are not bits.

    Example:
        >>> nats_text(6543.21, 3072), nats_text(81.5, None)
        ('6543.21 nats (3.073 bits/dim)', '81.50 nats')
    """
    return f"{nats:.2f} nats{bits_text(bits_per_dim(nats, dimensions))}"
