"""The optimisers: Adam and its kin, with weight decay that is decoupled and spares biases and batch norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from iafsweep.config import TrainingConfig

_MATRIX = 2
"""Weights have so many dimensions or more; biases, and scales and shifts of batch norms, have one."""


@final
class DecoupledAdamax(torch.optim.Adamax):
    """Adamax (Kingma and Ba 2015) after a step of weight decay (Loshchilov and Hutter 2019): the groups' ``decay``."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:  # noqa: ANN401 - as PyTorch has it
        """Update every weight."""
        for group in self.param_groups:
            if group["decay"]:
                torch._foreach_mul_(group["params"], 1 - group["lr"] * group["decay"])
        return super().step(closure)


def make_optimiser(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return the optimiser of a model's weights; its learning rate is set before every step.

    ``adam`` and ``adamw`` are one fused kernel, ``adamax`` a few over all weights together.
    """
    rate = config.learning_rate
    if config.optimiser == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    decayed = [each for each in model.parameters() if each.dim() >= _MATRIX]
    spared = [each for each in model.parameters() if each.dim() < _MATRIX]
    name = "weight_decay" if config.optimiser == "adamw" else "decay"
    groups = [{"params": decayed, name: config.weight_decay}, {"params": spared, name: 0.0}]
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate, fused=True)
    return DecoupledAdamax(groups, lr=rate, foreach=True)


def restore_moments(optimiser: Optimizer, saved: dict[str, Any]) -> None:
    """Put saved moments into an optimiser, which keeps its own settings: a copy in a population goes on with others."""
    own = [{name: value for name, value in group.items() if name != "params"} for group in optimiser.param_groups]
    optimiser.load_state_dict(saved)
    for group, settings in zip(optimiser.param_groups, own, strict=True):
        group.update(settings)
    for parameter, moments in optimiser.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape:  # the fused update walks through memory in the weights' own order
                moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(moment)


def gradient_norm(model: nn.Module) -> Tensor:
    """Return the norm of all gradients together, without waiting for the device."""
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def clip_gradients(model: nn.Module, most: float) -> Tensor:
    """Scale all gradients together so that their norm is at most ``most``; return what it was."""
    norm = gradient_norm(model)
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), most, norm, foreach=True)
    return norm
