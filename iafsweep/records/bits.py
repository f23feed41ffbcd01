"""Conversion of nats per image to bits per dimension, the usual unit for images that are not binary."""

from __future__ import annotations

import math


def bits_per_dim(nats: float, dimensions: int | None) -> float | None:
    """Return ``nats / (dimensions ln 2)``, or None for binary images, whose ``dimensions`` is None."""
    return None if dimensions is None else nats / (dimensions * math.log(2))


def bits_text(bits: float | None, before: str = " ") -> str:
    """Return bits per dimension in parentheses, to append to nats; empty for None."""
    return "" if bits is None else f"{before}({bits:.3f} bits/dim)"


def nats_text(nats: float, dimensions: int | None) -> str:
    """Return nats per image as text, with bits per dimension if the images are not binary.

    Example:
        >>> nats_text(6543.21, 3072), nats_text(81.5, None)
        ('6543.21 nats (3.073 bits/dim)', '81.50 nats')
    """
    return f"{nats:.2f} nats{bits_text(bits_per_dim(nats, dimensions))}"
