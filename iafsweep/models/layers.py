"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.errors import ConfigError

BATCH_NORM_EPSILON = 1e-3

Network = TypeVar("Network", bound=nn.Module)


def with_dropout(network: Network, share: float, table: str) -> Network:
    """Set the share that every dropout in ``network`` drops (0 costs nothing), and return ``network``.

    Args:
        network: changed in place.
        share: the share.
        table: the table of the configuration whose ``dropout`` it is, such as ``model.encoder``.

    Raises:
        ConfigError: ``network`` has no dropout, and ``share`` is not 0.
    """
    found = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    if share and not found:
        raise ConfigError(
            f"{table}.dropout = {share} has nothing to act on: {type(network).__name__} has no nn.Dropout; set "
            f"{table}.dropout = 0, or take another {table}.kind"
        )
    for module in found:
        module.p = share
    return network


@final
class BatchNorm(nn.BatchNorm1d):
    """Batch norm of the last dimension: x [..., F] to [..., F] (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Training mode takes mean and variance over all leading dimensions together, so the rows of a batch depend on each
    other. Eval mode uses the moving averages, so every row is independent.
    """

    def __init__(self, features: int, momentum: float, initial_shift: float = 0.0) -> None:
        super().__init__(features, eps=BATCH_NORM_EPSILON, momentum=momentum)
        nn.init.constant_(self.bias, initial_shift)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift each feature."""
        return super().forward(x.reshape(-1, self.num_features)).reshape(x.shape)


def image_batch_norm(maps: int, momentum: float | None) -> nn.Module:
    """Return batch norm for [B, maps, height, width], or the identity without a momentum."""
    return nn.Identity() if momentum is None else nn.BatchNorm2d(maps, eps=BATCH_NORM_EPSILON, momentum=momentum)


@final
class SmallLinear(nn.Linear):
    """A linear map whose weights start at a hundredth of the usual size.

    Its outputs start near 0, so a map that they parametrise starts near the identity.
    """

    initial_scale = 0.01


@final
class NormalisedLinear(nn.Module):
    """``BN(W x)``, or ``W x + b`` without a momentum; x [..., inputs] to [..., outputs]."""

    def __init__(self, inputs: int, outputs: int, batch_norm_momentum: float | None) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=batch_norm_momentum is None)
        self.norm = nn.Identity() if batch_norm_momentum is None else BatchNorm(outputs, batch_norm_momentum)

    def forward(self, x: Tensor, *, doubled: bool = False) -> Tensor:
        """Apply the map and the norm.

        Args:
            x: [..., inputs], or half as wide if ``doubled``.
            doubled: whether the input is ``[x, x]``; takes half the products, since ``[U, V] [x, x] = (U + V) x``.
        """
        weight = self.linear.weight
        if doubled:
            first, second = weight.chunk(2, dim=1)
            weight = first + second
        y: Tensor = self.norm(F.linear(x, weight, self.linear.bias))
        return y


@final
class SkipMlp(nn.Module):
    """Fully connected layers that all see the input: ``h_k = ELU(BN(W_k [h_{k-1}, x]))`` with ``h_0 = x``.

    The first layer therefore reads the input twice. x [B, inputs] to [B, hidden_sizes[-1]].
    """

    def __init__(self, inputs: int, hidden_sizes: Sequence[int], batch_norm_momentum: float | None) -> None:
        super().__init__()
        previous = (inputs, *hidden_sizes[:-1])
        self.layers = nn.ModuleList(
            NormalisedLinear(size + inputs, hidden, batch_norm_momentum)
            for size, hidden in zip(previous, hidden_sizes, strict=True)
        )
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        first, *others = cast("list[NormalisedLinear]", list(self.layers))
        hidden: Tensor = self.dropout(F.elu(first(x, doubled=True)))
        for layer in others:
            hidden = self.dropout(F.elu(layer(torch.cat((hidden, x), dim=-1))))
        return hidden
