"""The optimisers: Adam, AdamW and Adamax, with decoupled weight decay that skips biases and batch norm."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from iafsweep.config import TrainingConfig

_MATRIX = 2
"""Fewest dimensions of a decayed weight; biases and batch norm's scales and shifts have one."""


class _Eager(Optimizer):
    """An optimiser that is never compiled, so it does without what PyTorch wraps around the methods for that.

    Unlike these wrappers, it does not import torch._dynamo, which takes a second and 150 MB in each process.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


@final
class _Adam(_Eager, torch.optim.Adam):
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


@final
class _AdamW(_Eager, torch.optim.AdamW):
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


@final
class DecoupledAdamax(_Eager, torch.optim.Adamax):
    """Adamax (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019): ``decay`` of each group."""

    _update = inspect.unwrap(torch.optim.Adamax.step)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:  # noqa: ANN401 - PyTorch's signature
        """Update every weight."""
        for group in self.param_groups:
            if group["decay"]:
                torch._foreach_mul_(group["params"], 1 - group["lr"] * group["decay"])
        return self._update(closure)


def make_optimiser(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return an optimiser for a model's weights; the trainer sets its learning rate before every step.

    ``adam`` and ``adamw`` run as one fused kernel, ``adamax`` as a few kernels over all weights together.
    """
    rate = config.learning_rate
    if config.optimiser == "adam":
        return _Adam(model.parameters(), lr=rate, fused=True)
    decayed = [each for each in model.parameters() if each.dim() >= _MATRIX]
    spared = [each for each in model.parameters() if each.dim() < _MATRIX]
    name = "weight_decay" if config.optimiser == "adamw" else "decay"
    groups = [{"params": decayed, name: config.weight_decay}, {"params": spared, name: 0.0}]
    if config.optimiser == "adamw":
        return _AdamW(groups, lr=rate, fused=True)
    return DecoupledAdamax(groups, lr=rate, foreach=True)


def restore_moments(optimiser: Optimizer, saved: dict[str, Any]) -> None:
    """Load saved moments into an optimiser but keep its settings, which differ in a copied trial of a population."""
    own = [{name: value for name, value in group.items() if name != "params"} for group in optimiser.param_groups]
    optimiser.load_state_dict(saved)
    for group, settings in zip(optimiser.param_groups, own, strict=True):
        group.update(settings)
    for parameter, moments in optimiser.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape:  # the fused update needs the memory layout of the weights
                moments[name] = torch.empty_like(parameter, requires_grad=False).copy_(moment)


def gradient_norm(model: nn.Module) -> Tensor:
    """Return the global gradient norm, without waiting for the device."""
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def clip_gradients(model: nn.Module, most: float) -> Tensor:
    """Scale all gradients so that their global norm is at most ``most``; return the norm before."""
    norm = gradient_norm(model)
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), most, norm, foreach=True)
    return norm
