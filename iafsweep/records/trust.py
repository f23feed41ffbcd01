"""When to believe a figure or a bound: one rule for each, used wherever it is shown."""

import math
from typing import Literal

Level = Literal["good", "doubtful", "bad", "unknown"]

TRUSTED_SHARE, DOUBTFUL_SHARE = 0.05, 0.5
"""A figure is good up to the first share of untrusted images, and bad above the second."""

FEWEST_CHAINS = 8
"""With fewer chains of HAIS, many good images (log-weights that vary by 0.3) cannot be distinguished from bad ones."""

UNEVEN = "log-weights have a variance above 1, an upper 95% limit of the variance above 2, or a Pareto k-hat above 0.7"
"""What makes an image untrusted, in words; ``estimators/log_weights`` applies the rule, and needs PyTorch."""


def level_of(untrusted: float) -> Level:
    """Return the level of trust for a share of untrusted images."""
    return "good" if untrusted <= TRUSTED_SHARE else "doubtful" if untrusted <= DOUBTFUL_SHARE else "bad"


SETTLED = 5.0
"""Least momentum x steps; below it, the initial values and early weights still make up more than exp(-5), 1 %, of the
moving averages."""

APART = 1.25
"""A validation bound more than this many times the training bound counts as far above it."""


def settling_of(momentum: float, training_images: int, batch_size: int, epochs: int) -> float:
    """Return momentum of batch norm x steps in ``epochs`` epochs."""
    return momentum * epochs * (training_images // batch_size)


def is_unsettled(settling: float | None) -> bool:
    """Return whether momentum x steps is too small; None stands for a model without batch norm."""
    return settling is not None and settling < SETTLED


def are_apart(training: float | None, validation: float | None) -> bool:
    """Return whether the validation bound is far above the training bound, both in nats per image or None (unknown)."""
    if training is None or validation is None or not math.isfinite(training):
        return False
    return validation > APART * training > 0


def unsettled_remark(settling: float, momentum: float) -> str:
    """Return a warning about too few steps, with advice: a larger momentum if one below 1 suffices, else more steps."""
    enough = _rounded_up(momentum * SETTLED / settling) if settling > 0 else math.inf
    larger = f"set model.batch_norm_momentum to at least {enough:g}, or " if enough < 1 else ""
    return (
        f"the moving averages of batch norm cannot settle (momentum {momentum:g} x steps = {settling:.2g}, below "
        f"{SETTLED:g}), so validation and test figures will be far too high: {larger}train longer"
    )


def _rounded_up(value: float) -> float:
    """Return the next number of two significant digits."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(round(value / unit, 6)) * unit


WARMED_UP_VAMP = (
    "the prior `vamp` is made of posteriors, which drift apart while the weight of the KL term is near 0, and hardly "
    "recover: set training.kl_warmup_epochs = 0"
)
"""A warning about a VampPrior that is trained with a KL warm-up."""

LAGGING = "the moving averages of batch norm lag behind (use a larger model.batch_norm_momentum)"
FEW_IMAGES = (
    "the averaged weights' batch norm statistics come from too few images (raise training.weight_average_images)"
)
OVERFITS = "the model overfits (use more images, smaller networks or fewer epochs)"
"""What may put a validation bound far above the training bound."""


def apart_remark(training: float, validation: float, *causes: str) -> str:
    """Return a warning about a validation bound far above the training bound, with what may be its causes.

    Args:
        training: nats per image, train mode.
        validation: nats per image, eval mode.
        causes: of :data:`LAGGING`, :data:`FEW_IMAGES` and :data:`OVERFITS`.
    """
    apart = f"the validation bound, {validation:.2f}, is far above the training bound, {training:.2f}"
    return f"{apart}: {', or '.join(causes)}"
