"""Seeds of all random draws, each a pure function of named parts, so that no draw depends on earlier ones."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive_seed(*parts: int | str) -> int:
    """Return a 63-bit seed from numbers and names, such as ``derive_seed(config.seed, "epoch", 3)``.

    The first eight bytes of the SHA-256 of the parts: different parts give unrelated seeds, on every platform.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(device: torch.device | str, *parts: int | str) -> torch.Generator:
    """Return a generator on ``device`` seeded with :func:`derive_seed` of ``parts``."""
    import torch

    return torch.Generator(device).manual_seed(derive_seed(*parts))
