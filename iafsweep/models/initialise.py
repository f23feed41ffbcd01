"""Starting values of all parameters (Glorot and Bengio 2010, Xavier initialisation)."""

from __future__ import annotations

import torch
from torch import nn

from iafsweep.models.made import MaskedLayer


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight Xavier-uniform and set every bias to where it starts (0, but for the gates of a flow).

    ``w ~ U(-a, a)`` with ``a = sqrt(6 / (fan_in + fan_out))``; masked weights count the fans of the whole matrix. Batch
    norms keep what their constructors gave them. The draws are made in the order of ``model.modules()``, so a seed
    stands for one set of weights.

    Args:
        model: changed in place; on the generator's device.
        generator: the only source of randomness.
    """
    for module in model.modules():
        if isinstance(module, MaskedLayer):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.constant_(module.bias, module.initial_bias)
        elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
