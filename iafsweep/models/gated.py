"""Gated convolutions (van den Berg et al. 2018, Sylvester normalizing flows, arXiv:1803.05649)."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@final
class Gated(nn.Module):
    """``ELU(value(x)) * sigmoid(gate(x))`` with two convolutions of the same shape."""

    def __init__(self, value: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.value = value
        self.gate = gate
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both convolutions: [B, maps_in, h, w] to [B, maps, h', w']."""
        y: Tensor = self.dropout(F.elu(self.value(x)) * torch.sigmoid(self.gate(x)))
        return y


def gated_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Gated:
    """A gated convolution that keeps the size, or halves it with stride 2 (odd kernel)."""
    padding = (kernel - 1) // 2
    value, gate = (nn.Conv2d(inputs, outputs, kernel, stride, padding) for _ in range(2))
    return Gated(value, gate)


def gated_valid_conv(inputs: int, outputs: int, kernel: tuple[int, int]) -> Gated:
    """A gated convolution without padding; a kernel as large as the input leaves one position."""
    value, gate = (nn.Conv2d(inputs, outputs, kernel) for _ in range(2))
    return Gated(value, gate)


def gated_transposed_conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Gated:
    """A gated transposed convolution that keeps the size, or doubles it with stride 2 (odd kernel)."""
    padding = (kernel - 1) // 2
    value, gate = (
        nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, output_padding=stride - 1) for _ in range(2)
    )
    return Gated(value, gate)


def gated_valid_transposed_conv(inputs: int, outputs: int, kernel: tuple[int, int]) -> Gated:
    """A gated transposed convolution without padding: from one position to an image of the kernel's size."""
    value, gate = (nn.ConvTranspose2d(inputs, outputs, kernel) for _ in range(2))
    return Gated(value, gate)
