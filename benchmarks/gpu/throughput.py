"""Training throughput: images a second, what the time is spent on, and how far that is from what was counted."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import torch

from benchmarks.count import Counted, count
from benchmarks.gpu.context import Context, run_step
from benchmarks.gpu.kernels import time_by_class
from benchmarks.products import products_alone
from benchmarks.timing import stopwatch
from benchmarks.train import MODELS, SHAPE, Way, endless, training_step
from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.models import build_model
from iafsweep.records import Precision
from iafsweep.training import resolve_device

EAGER = "training"
WARM = 5
"""Steps before any is timed: the first compiles, those after it record."""


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        precision: of networks.
        compiled: whether the step is; on a GPU it is replayed as CUDA graphs then.
        large: whether the batch is the large one.
        bare: whether only the step's products and convolutions are computed.
    """

    precision: Precision
    compiled: bool = False
    large: bool = False
    bare: bool = False

    @property
    def name(self) -> str:
        """For people."""
        return f"{'products alone' if self.bare else 'compiled' if self.compiled else 'eager'}, {self.precision}"


ROWS = {
    EAGER: (
        Row("bfloat16"),
        Row("float32"),
        Row("bfloat16", large=True),
        Row("bfloat16", bare=True),
        Row("float32", bare=True),
        Row("float32", large=True),
    ),
    "training_compiled": (Row("bfloat16", compiled=True),),
    "training_compiled_float32": (Row("float32", compiled=True),),
}
"""By the name of the step."""


def main(context: Context) -> None:
    """Time the rows of this step of the schedule."""
    device = resolve_device(context.device)
    for row in ROWS[context.name]:
        config = MODELS[context.sizes.compiled_model if row.compiled else context.sizes.model]
        counted = count(build_model(config, ImageFormat(SHAPE), seed=0))
        context.record(flop_an_image=counted.step)
        context.append("rows", _timed(context, row, config, counted, device))
        del context.figures["unfinished"]
        context.record()


def _timed(context: Context, row: Row, config: ModelConfig, counted: Counted, device: torch.device) -> dict[str, Any]:
    sizes = context.sizes
    batch_size = sizes.large_batch if row.large else sizes.batch_size
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    way = Way(row.name, torch.channels_last, row.precision, row.compiled, bare=row.bare)
    step = training_step(config, way, device)
    batches = endless(config, batch_size, device)
    work: Callable[[], object] = lambda: step(next(batches), 0.5)  # noqa: E731
    if row.bare:
        work = products_alone(work)
    first = [stopwatch(work)() for _ in range(WARM)]
    measure = stopwatch(lambda: [work() for _ in range(sizes.steps)])
    seconds = sorted(measure() / sizes.steps for _ in range(sizes.rounds))
    rate = batch_size / median(seconds)
    found = {
        "name": row.name,
        "batch_size": batch_size,
        "images_a_second": rate,
        "lowest": batch_size / seconds[-1],
        "highest": batch_size / seconds[0],
        "ms_a_step": median(seconds) * 1e3,
        "first_seconds": first,
        "memory": torch.cuda.max_memory_reserved() if device.type == "cuda" else None,
        **_bounds(context, row, counted, batch_size, rate),
    }
    if row.compiled:
        found |= {"compile_seconds": step.compile_seconds, "compiling_failed": step.computing.note}
    context.record(unfinished=found)  # should the profiler end this process
    return found | {"kernels": time_by_class(work, sizes.profiled, device)}


def _bounds(context: Context, row: Row, counted: Counted, batch_size: int, rate: float) -> dict[str, float]:
    """What bounds the rate by count, at what the device was measured to do, and the share of it that is reached."""
    machine = context.earlier.get("machine", {})
    found: dict[str, float] = {}
    if products := machine.get(f"products_{row.precision}"):
        found |= {"bound_by_products": products / counted.step, "share_of_products": rate * counted.step / products}
    if copied := machine.get("copy_bytes"):
        numbers = 1 if row.precision == "bfloat16" else 2  # activations are counted as 2 bytes a number
        traffic = numbers * counted.traffic + counted.optimiser(batch_size)
        found |= {"bound_by_memory": copied / traffic, "share_of_memory": rate * traffic / copied}
    return found


if __name__ == "__main__":
    run_step(main)
