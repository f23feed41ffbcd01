"""What stands beside a figure wherever it is shown, so that it is taken for no other's."""

from __future__ import annotations

AUTOREGRESSIVE = "autoregressive decoder"
"""Likelihoods of models whose pixels follow each other are no match for those of others, and not mixed with them."""


def details_of(bits: float | None, *, autoregressive: bool) -> tuple[str, ...]:
    """Return bits per dimension, of images that are not bits, and whether the decoder is autoregressive."""
    return (*(() if bits is None else (f"{bits:.3f} bits/dim",)), *((AUTOREGRESSIVE,) if autoregressive else ()))


def details_text(details: tuple[str, ...]) -> str:
    """Return details as they stand behind a figure; nothing of none."""
    return f" ({', '.join(details)})" if details else ""
