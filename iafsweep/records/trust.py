"""How good a share of untrusted images is: one rule for every figure, wherever it is shown."""

from __future__ import annotations

from typing import Literal

Level = Literal["good", "doubtful", "bad", "unknown"]
TRUSTED_SHARE, DOUBTFUL_SHARE = 0.05, 0.5
"""A figure is trusted with so few untrusted images, and not to be trusted with more than the second share."""

UNTRUSTED_VARIANCE, UNTRUSTED_PARETO_K = 1.0, 0.7
"""An image is untrusted above either, by the rule of ``estimators/log_weights``: known here without PyTorch."""


def level_of(untrusted: float) -> Level:
    """Return how good a share of untrusted images is."""
    return "good" if untrusted <= TRUSTED_SHARE else "doubtful" if untrusted <= DOUBTFUL_SHARE else "bad"
