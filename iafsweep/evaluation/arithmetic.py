"""How scores are computed: in full float32, and in chunks that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")


def halving_rows(work: Callable[[int], Result], rows: int, fewest: int) -> Result:
    """Return ``work(rows)``; whenever it runs out of GPU memory, with half the rows a chunk, down to ``fewest``.

    The work begins again with the same noise, and chunks change no figure beyond rounding: so the result is that of
    ample memory.

    Args:
        work: takes how many rows (samples x images) to evaluate at a time.
        rows: to try first.
        fewest: the smallest chunk there is: one sample of every image.

    Raises:
        torch.cuda.OutOfMemoryError: not even the smallest chunk fits.
    """
    while True:
        try:
            return work(rows)
        except torch.cuda.OutOfMemoryError:
            if rows <= fewest:
                raise
        # Out of the handler, whose traceback held the tensors that did not fit.
        rows = max(fewest, rows // 2)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep convolutions and matrix products on a GPU in float32 inside the block, and autocast out of it.

    cuDNN computes float32 convolutions in TF32 unless told otherwise: 10 bits of mantissa, which moves a likelihood of
    a hundred nats by more than its error bars. Autocast would move it further.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
