"""When to believe a figure or a bound: one rule each, wherever it is shown."""

import math
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


SETTLED = 5.0
"""Momentum x steps: below, more than exp(-5), 1 %, of where the moving averages began is left in them, and of what
the weights were long ago."""

APART = 1.25
"""A validation bound so many times the training bound is far from it."""


def settling_of(momentum: float, training_images: int, batch_size: int, epochs: int) -> float:
    """Momentum of batch norm x steps of so many epochs."""
    return momentum * epochs * (training_images // batch_size)


def is_unsettled(settling: float | None) -> bool:
    """Whether momentum x steps is too little; None is a model without batch norm."""
    return settling is not None and settling < SETTLED


def are_apart(training: float | None, validation: float | None) -> bool:
    """Whether the validation bound is far above the training bound, both in nats per image; None is unknown."""
    if training is None or validation is None or not math.isfinite(training):
        return False
    return validation > APART * training > 0


def unsettled_remark(settling: float, momentum: float) -> str:
    """What is wrong with few steps, and what to do: a larger momentum where there is one, else more steps."""
    enough = momentum * SETTLED / settling if settling > 0 else math.inf
    remedy = f"model.batch_norm_momentum of at least {enough:.1g}, or train longer" if enough < 1 else "train longer"
    return (
        f"the moving averages of batch norm cannot settle (momentum {momentum:g} x steps = {settling:.2g}, below "
        f"{SETTLED:g}), so that validation and test figures will be far too high: {_taken(remedy)}"
    )


def apart_remark(training: float, validation: float, *, normalised: bool) -> str:
    """What two bounds that part by far may mean, and what to do.

    Args:
        training: nats per image, train mode.
        validation: nats per image, eval mode.
        normalised: whether the model has batch norm.
    """
    lagging = "the moving averages of batch norm lag behind (take a larger model.batch_norm_momentum), or " * normalised
    return (
        f"the validation bound, {validation:.2f}, is far above the training bound, {training:.2f}: {lagging}the model "
        f"overfits (take more images, smaller networks or fewer epochs)"
    )


def _taken(remedy: str) -> str:
    return remedy if remedy.startswith("train") else f"take {remedy}"
