"""How scores are computed: in chunks that fit the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from iafsweep.training.memory import is_out_of_memory

Result = TypeVar("Result")


def halving_rows(work: Callable[[int], Result], rows: int, fewest: int) -> Result:
    """Return ``work(rows)``; whenever it runs out of memory, with half the rows a chunk, down to ``fewest``.

    The work begins again with the same noise, and chunks change no figure beyond rounding: so the result is that of
    ample memory.

    Args:
        work: takes how many rows (samples x images) to evaluate at a time.
        rows: to try first.
        fewest: the smallest chunk there is: one sample of every image.

    Raises:
        MemoryError, RuntimeError: not even the smallest chunk fits (:func:`iafsweep.training.memory.is_out_of_memory`).
    """
    while True:
        try:
            return work(rows)
        except (MemoryError, RuntimeError) as error:
            if rows <= fewest or not is_out_of_memory(error):
                raise
        # Out of the handler, whose traceback held the tensors that did not fit.
        rows = max(fewest, rows // 2)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
