"""KL weight, learning rate and early stopping, as functions of the recipe and the progress of training."""

from __future__ import annotations

import math

from iafsweep.config import TrainingConfig

_NEARLY = 0.9
"""Share of a warm-up that is enough: a run of as many epochs as its KL warm-up ends with nearly the full weight."""


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
    """Return a warning about warm-ups that training ends well before, or an objective that never begins; else empty."""
    epochs, found = config.epochs, []
    if (weight := kl_weight(config, epochs - 1)) < _NEARLY:
        found.append(
            f"the weight of the KL term rises to {weight:.2g} only: shorten training.kl_warmup_epochs "
            f"({config.kl_warmup_epochs})"
        )
    if (warmup := config.learning_rate_warmup_epochs) * _NEARLY > epochs:
        found.append(
            f"the warm-up of the learning rate gets to {epochs / warmup:.0%} only: shorten "
            f"training.learning_rate_warmup_epochs ({warmup})"
        )
    if not config.is_plain_elbo and not config.objective_begins:
        found.append(
            f"training ends before its objective begins: lower training.objective_from_epoch "
            f"({config.objective_from_epoch})"
        )
    return "; ".join(f"{each}, or raise training.epochs ({epochs})" for each in found)
