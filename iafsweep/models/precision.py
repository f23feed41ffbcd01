"""Full float32 for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SWITCHES = (
    torch.backends.cuda.matmul,
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
)


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep convolutions and matrix products in float32 inside the block, and autocast out of it.

    cuDNN computes float32 convolutions in TF32 unless told otherwise: 10 bits of mantissa, which moves a likelihood of
    a hundred nats by more than its error bars. Autocast would move it further.
    """
    # One by one: PyTorch's older switches (`allow_tf32`) cannot be read where a user has set the newer ones.
    before = [switch.fp32_precision for switch in _SWITCHES]
    try:
        for switch in _SWITCHES:
            switch.fp32_precision = "ieee"
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        for switch, precision in zip(_SWITCHES, before, strict=True):
            switch.fp32_precision = precision
