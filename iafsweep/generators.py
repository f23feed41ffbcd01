"""Generators of PyTorch, seeded as a pure function of named parts."""

from __future__ import annotations

import torch

from iafsweep.seeds import derive_seed


def generator(device: torch.device | str, *parts: int | str) -> torch.Generator:
    """Return a generator on ``device`` seeded with :func:`iafsweep.seeds.derive_seed` of ``parts``."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))
