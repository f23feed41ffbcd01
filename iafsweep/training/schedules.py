"""KL weight, learning rate and early stopping, as functions of the recipe and the progress of training."""

from __future__ import annotations

import math

from iafsweep.config import TrainingConfig


def kl_weight(config: TrainingConfig, epoch: int) -> float:
    """Return the weight of the KL term in an epoch, counted from 0: min(1, epoch / kl_warmup_epochs)."""
    if config.kl_warmup_epochs == 0:
        return 1.0
    return min(1.0, epoch / config.kl_warmup_epochs)


def learning_rate(config: TrainingConfig, epoch: int, batch: int = 0, batches: int = 1) -> float:
    """Return the learning rate of a step.

    ``step``: learning_rate * decay^(epoch // decay_epochs). ``cosine`` (Loshchilov and Hutter 2017, arXiv:1608.03983):
    learning_rate * (end + (1 - end) * (1 + cos(pi * t)) / 2), with t from 0 at the very first step to 1 after the last.
    During warm-up the rate is multiplied by the share of warm-up steps done, including this one.

    Args:
        config: the recipe.
        epoch: index of the epoch, from 0.
        batch: index of the step within the epoch, from 0.
        batches: steps per epoch.
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
    """Whether the validation bound has not fallen for ``early_stopping_epochs``, counted from ``settled_epochs`` on."""
    patience = config.early_stopping_epochs
    if patience is None:
        return False
    return epochs_done - max(best_epoch, config.settled_epochs) >= patience


def never_reached(config: TrainingConfig) -> str:
    """Return a warning about warm-ups that do not end, or an objective that does not begin, in the epochs trained."""
    begins = config.objective_from_epoch if (config.objective, config.objective_samples) != ("elbo", 1) else 0
    found = (
        ("kl_warmup_epochs", config.kl_warmup_epochs, "the KL term never has its full weight"),
        ("learning_rate_warmup_epochs", config.learning_rate_warmup_epochs, "the learning rate only rises"),
        ("objective_from_epoch", begins, f"the objective `{config.objective}` never begins"),
    )
    return "; ".join(
        f"{what}, because training.{name} = {epochs} is not below training.epochs = {config.epochs}: lower it, or "
        f"train longer"
        for name, epochs, what in found
        if epochs >= config.epochs
    )
