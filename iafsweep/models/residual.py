"""Pre-activation residual blocks of two 3x3 convolutions (He et al. 2016, arXiv:1603.05027)."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.models.layers import image_batch_norm

RESIDUAL_SCALE = 0.1
"""Scale of the term that a block adds to its shortcut."""


@final
class ResidualBlock(nn.Module):
    """``shortcut(x) + 0.1 * conv2(ELU(BN(conv1(ELU(BN(x))))))``: [B, maps_in, h, w] to [B, maps, h', w'].

    Without a momentum there is no BN, and the convolutions have biases.
    """

    def __init__(
        self,
        first: nn.Conv2d,
        second: nn.Conv2d | nn.ConvTranspose2d,
        shortcut: Callable[[Tensor], Tensor],
        batch_norm_momentum: float | None,
    ) -> None:
        super().__init__()
        self.first_norm = image_batch_norm(first.in_channels, batch_norm_momentum)
        self.first = first
        self.second_norm = image_batch_norm(second.in_channels, batch_norm_momentum)
        self.dropout = nn.Dropout(0.0)
        self.second = second
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        # In place: nothing else reads a batch norm's output, and ELU's gradient is cheaper to compute from its result.
        hidden: Tensor = self.first(F.elu(self.first_norm(x), inplace=isinstance(self.first_norm, nn.BatchNorm2d)))
        hidden = self.second(self.dropout(F.elu(self.second_norm(hidden), inplace=True)))
        # Images stay float32 under autocast; without the cast, they would make all later maps float32.
        return torch.add(self.shortcut(x).to(hidden.dtype), hidden, alpha=RESIDUAL_SCALE)


def entry_block(channels: int, maps: int, batch_norm_momentum: float | None) -> ResidualBlock:
    """A block that reads the image, with the image itself as its shortcut, broadcast over the maps.

    The channels of the shortcut are averaged first, unless there are as many channels as maps.
    """
    shortcut = _same if channels == maps else _channel_mean
    bias = batch_norm_momentum is None
    return ResidualBlock(_conv(channels, maps, bias=bias), _conv(maps, maps, bias=bias), shortcut, batch_norm_momentum)


def plain_block(maps: int, batch_norm_momentum: float | None) -> ResidualBlock:
    """A block that keeps the size."""
    bias = batch_norm_momentum is None
    return ResidualBlock(_conv(maps, maps, bias=bias), _conv(maps, maps, bias=bias), _same, batch_norm_momentum)


def halving_block(maps: int, batch_norm_momentum: float | None) -> ResidualBlock:
    """A block that halves the size: stride 2 in its first convolution, nearest-neighbour shortcut."""
    bias = batch_norm_momentum is None
    first = _conv(maps, maps, stride=2, bias=bias)
    return ResidualBlock(first, _conv(maps, maps, bias=bias), halved, batch_norm_momentum)


def doubling_block(maps: int, batch_norm_momentum: float | None) -> ResidualBlock:
    """A block that doubles the size: its second convolution is transposed with stride 2, nearest-neighbour shortcut."""
    bias = batch_norm_momentum is None
    second = nn.ConvTranspose2d(maps, maps, 3, stride=2, padding=1, output_padding=1, bias=bias)
    return ResidualBlock(_conv(maps, maps, bias=bias), second, _doubled, batch_norm_momentum)


def halved(x: Tensor) -> Tensor:
    """Return every second row and column, ``x[..., ::2, ::2]``; height and width are even."""
    # Not a slice: its gradient is channels-first, and would make those of all earlier maps so.
    return F.interpolate(x, scale_factor=0.5, mode="nearest")


def _conv(inputs: int, outputs: int, stride: int = 1, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias)


def _same(x: Tensor) -> Tensor:
    return x


def _channel_mean(x: Tensor) -> Tensor:
    return x.mean(dim=1, keepdim=True)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
