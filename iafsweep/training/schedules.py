"""Learning rate and KL weight as functions of the epoch: no state, so that a resumed run needs none."""

from __future__ import annotations

from iafsweep.config import TrainingConfig


def kl_weight(config: TrainingConfig, epoch: int) -> float:
    """Return the KL term's weight in epoch ``epoch`` (0 is the first): min(1, epoch / kl_warmup_epochs)."""
    if config.kl_warmup_epochs == 0:
        return 1.0
    return min(1.0, epoch / config.kl_warmup_epochs)


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Return Adam's step size in epoch ``epoch`` (0 is the first): learning_rate * decay^(epoch // decay_epochs)."""
    return float(config.learning_rate * config.learning_rate_decay ** (epoch // config.learning_rate_decay_epochs))
