"""Small pieces that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3


@final
class BatchNorm(nn.BatchNorm1d):
    """Batch norm of the last dimension: x [..., F] to [..., F] (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Training mode takes mean and variance over all leading dimensions together, so the rows of a batch depend on each
    other; eval mode takes the moving averages and treats every row alone.
    """

    def __init__(self, features: int, momentum: float, initial_shift: float = 0.0) -> None:
        super().__init__(features, eps=BATCH_NORM_EPSILON, momentum=momentum)
        nn.init.constant_(self.bias, initial_shift)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise, scale and shift each feature."""
        return super().forward(x.reshape(-1, self.num_features)).reshape(x.shape)


def image_batch_norm(maps: int, momentum: float) -> nn.BatchNorm2d:
    """Batch norm of the maps of [B, maps, height, width]."""
    return nn.BatchNorm2d(maps, eps=BATCH_NORM_EPSILON, momentum=momentum)


@final
class QuietLinear(nn.Linear):
    """``W x + b`` whose weights start at a tenth of the others' size, so that what it feeds starts close to nothing."""


@final
class NormalisedLinear(nn.Module):
    """``BN(W x)``: a linear map without bias, then batch norm; x [..., inputs] to [..., outputs]."""

    def __init__(self, inputs: int, outputs: int, batch_norm_momentum: float) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = BatchNorm(outputs, batch_norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map and the norm."""
        y: Tensor = self.norm(self.linear(x))
        return y

    def of_doubled(self, x: Tensor) -> Tensor:
        """Apply both to ``[x, x]`` for half the products: ``[U, V] [x, x] = (U + V) x``; x [..., inputs / 2]."""
        first, second = self.linear.weight.chunk(2, dim=1)
        y: Tensor = self.norm(F.linear(x, first + second, self.linear.bias))
        return y


@final
class SkipMlp(nn.Module):
    """Fully connected layers that all see the input: ``h_k = ELU(BN(W_k [h_{k-1}, x]))`` with ``h_0 = x``.

    The first layer therefore reads the input twice. x [B, inputs] to [B, hidden_sizes[-1]].
    """

    def __init__(self, inputs: int, hidden_sizes: Sequence[int], batch_norm_momentum: float) -> None:
        super().__init__()
        previous = (inputs, *hidden_sizes[:-1])
        self.layers = nn.ModuleList(
            NormalisedLinear(size + inputs, hidden, batch_norm_momentum)
            for size, hidden in zip(previous, hidden_sizes, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the last hidden layer."""
        first, *others = cast("list[NormalisedLinear]", list(self.layers))
        hidden = F.elu(first.of_doubled(x))
        for layer in others:
            hidden = F.elu(layer(torch.cat((hidden, x), dim=-1)))
        return hidden
