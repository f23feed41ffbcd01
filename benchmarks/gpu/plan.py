"""What `--gpus-per-trial auto` measures and plans for spaces that are shipped."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import torch

from benchmarks.gpu.context import Context, run_step
from iafsweep.config import RunConfig
from iafsweep.search_space.files import load_space
from iafsweep.sweep.cluster.gpu_packing import Reserved, automatic_gpus, probe_gpu, steps, taken_by

CPU_PROBE_OVERRIDES = ["data.source=mnist_mini", "data.validation_images=200"]


def main(context: Context) -> None:
    """Probe the largest configuration of each space, and say how many trials share a device."""
    for name in context.sizes.spaces:
        started = time.perf_counter()
        measured: list[tuple[int, int]] = []

        def probe(config: RunConfig, measured: list[tuple[int, int]] = measured) -> tuple[int, int]:
            measured.append(probe_gpu(config) if context.device == "cuda" else _probe_cpu(config))
            return measured[-1]

        space = load_space(name, [] if context.device == "cuda" else CPU_PROBE_OVERRIDES)
        share = automatic_gpus(space, probe)
        ((used, total),) = measured
        context.append(
            "rows",
            {"space": name, "used": used, "total": total, "trials": round(1 / share),
             "seconds": time.perf_counter() - started},
        )  # fmt: skip


def _probe_cpu(config: RunConfig) -> tuple[int, int]:
    return taken_by(_train_on_cpu, config, _memory_of_cpu)


def _train_on_cpu(config_json: str) -> Reserved:
    """Train some steps on the CPU; what it reserved is what the process grew by."""
    before = _resident()
    steps(RunConfig.model_validate_json(config_json), torch.device("cpu"))
    most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Reserved(max(most - before, 1), max(_resident() - before, 0))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _memory_of_cpu() -> tuple[int, int]:
    pages = os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_AVPHYS_PAGES") * pages, os.sysconf("SC_PHYS_PAGES") * pages


if __name__ == "__main__":
    run_step(main)
