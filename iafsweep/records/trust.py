"""How good a share of untrusted images is: one rule for every figure, wherever it is shown."""

from __future__ import annotations

from typing import Literal

Level = Literal["good", "doubtful", "bad", "unknown"]
TRUSTED_SHARE, DOUBTFUL_SHARE = 0.05, 0.5
"""A figure is trusted with so few untrusted images, and not to be trusted with more than the second share."""
FEWEST_CHAINS = 8
"""With fewer chains of HAIS many a good image (log-weights that vary by 0.3) cannot be told from a bad one."""

UNEVEN = (
    "log-weights vary by more than 1, or may by more than 2 (upper 95% limit of the variance), or have a Pareto k-hat "
    "above 0.7"
)
"""What makes an image untrusted, for people; the rule is that of ``estimators/log_weights``, which needs PyTorch."""


def level_of(untrusted: float) -> Level:
    """Return how good a share of untrusted images is."""
    return "good" if untrusted <= TRUSTED_SHARE else "doubtful" if untrusted <= DOUBTFUL_SHARE else "bad"
