"""Divergence: training whose figures are no numbers any more."""

from __future__ import annotations

import math

from iafsweep.records import EpochMetrics


class DivergedError(Exception):
    """The loss or the validation bound is not a finite number; the last good checkpoint is kept."""

    def __init__(self, metrics: EpochMetrics) -> None:
        super().__init__(
            f"diverged in epoch {metrics.epoch}: training loss {metrics.train_loss}, "
            f"validation bound {metrics.validation_negative_elbo}"
        )
        self.metrics = metrics


def is_finite(metrics: EpochMetrics) -> bool:
    """Return whether the loss of an epoch is a finite number, and its validation bound if there is one."""
    bound = metrics.validation_negative_elbo
    return math.isfinite(metrics.train_loss) and (bound is None or math.isfinite(bound))
