"""What changes from epoch to epoch, as functions of the recipe and of how far training is."""

from __future__ import annotations

import math

from iafsweep.config import TrainingConfig


def kl_weight(config: TrainingConfig, epoch: int) -> float:
    """Return the KL term's weight in epoch ``epoch`` (0 is the first): min(1, epoch / kl_warmup_epochs)."""
    if config.kl_warmup_epochs == 0:
        return 1.0
    return min(1.0, epoch / config.kl_warmup_epochs)


def learning_rate(config: TrainingConfig, epoch: int, batch: int = 0, batches: int = 1) -> float:
    """Return the step size of a step.

    ``step``: learning_rate * decay^(epoch // decay_epochs). ``cosine`` (Loshchilov and Hutter 2017, arXiv:1608.03983):
    learning_rate * (end + (1 - end) * (1 + cos(pi * t)) / 2), t from 0 at the first step of all to 1 behind the last.
    In the warm-up that times the share of its steps that are done with this one.

    Args:
        config: the recipe.
        epoch: 0 is the first.
        batch: the step's place in the epoch.
        batches: steps of an epoch.
    """
    rate = config.learning_rate
    if config.learning_rate_schedule == "step":
        rate = float(rate * config.learning_rate_decay ** (epoch // config.learning_rate_decay_epochs))
    elif config.learning_rate_schedule == "cosine":
        end, done = config.learning_rate_end, (epoch + batch / batches) / config.epochs
        rate *= end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
    if epoch < config.learning_rate_warmup_epochs:
        rate *= (epoch * batches + batch + 1) / (config.learning_rate_warmup_epochs * batches)
    return rate


def has_stopped_early(config: TrainingConfig, epochs_done: int, best_epoch: int) -> bool:
    """Whether the validation bound has not fallen for ``early_stopping_epochs``, counted once all has settled."""
    patience = config.early_stopping_epochs
    if patience is None:
        return False
    return epochs_done - max(best_epoch, config.settled_epochs) >= patience
