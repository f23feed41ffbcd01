"""Details shown with every figure, so that it is not compared with figures of another kind."""

from __future__ import annotations

AUTOREGRESSIVE = "autoregressive decoder"
"""Its likelihoods are not comparable with those of models whose pixels are independent given z; they are labelled."""


def details_of(bits: float | None, *, autoregressive: bool) -> tuple[str, ...]:
    """Return a figure's details: bits per dimension, if given, and a label if the decoder is autoregressive."""
    return (*(() if bits is None else (f"{bits:.3f} bits/dim",)), *((AUTOREGRESSIVE,) if autoregressive else ()))


def details_text(details: tuple[str, ...]) -> str:
    """Return details in parentheses, to append to a figure; empty if there are none."""
    return f" ({', '.join(details)})" if details else ""
