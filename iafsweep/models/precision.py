"""Context managers for eval mode and full float32 precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_SWITCHES = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
)


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute convolutions and matrix products in full float32 inside the block, without autocast.

    By default cuDNN computes float32 convolutions in TF32. Its 10 bits of mantissa change a likelihood of a hundred
    nats by more than its error bars; autocast would change it further.
    """
    # The newer switches first: if a user has set one of them, PyTorch refuses to read the older one.
    before = [switch.fp32_precision for switch in _SWITCHES]
    for switch in _SWITCHES:
        switch.fp32_precision = "ieee"
    # The older one too: if they disagree, PyTorch refuses to compile products, and perhaps to compute them.
    older = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        with without_autocast():
            yield
    finally:
        torch.set_float32_matmul_precision(older)
        for switch, precision in zip(_SWITCHES, before, strict=True):
            switch.fp32_precision = precision


@contextmanager
def without_autocast() -> Iterator[None]:
    """Disable autocast inside the block, so that products are computed in the type of their operands."""
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put ``model`` into eval mode inside the block, and restore its mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
