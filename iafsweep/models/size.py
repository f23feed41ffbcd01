"""How large a network is."""

from __future__ import annotations

from torch import nn


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers of a network are trained, those behind masks counted too."""
    return sum(parameter.numel() for parameter in network.parameters())
