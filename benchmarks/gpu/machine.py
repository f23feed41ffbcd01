"""What the device is, and what it can do at most: bare products in both precisions, a copy in its memory."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from statistics import median

import torch

from benchmarks.gpu.context import Context, run_step
from benchmarks.timing import hardware, stopwatch
from iafsweep.models.precision import full_precision
from iafsweep.training import resolve_device
from iafsweep.training.device import device_memory

PACKAGES = ("torch", "torchvision", "triton", "numpy", "pydantic", "typer", "optuna", "ray")
CALLS = 5
COPIED_BYTES = 2**30


def main(context: Context) -> None:
    """Look, and measure."""
    device = resolve_device(context.device)
    context.record(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else hardware(device),
        memory=device_memory(device),
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        cores=os.cpu_count(),
    )
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        context.record(
            multiprocessors=properties.multi_processor_count,
            capability=list(torch.cuda.get_device_capability(device)),
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
            driver=_driver(),
            bfloat16=torch.cuda.is_bf16_supported(),
        )
    for dtype in (torch.bfloat16, torch.float32):
        name = f"products_{str(dtype).removeprefix('torch.')}"
        context.record(**{name: product_rate(context.sizes.square, dtype, device)})
    context.record(copy_bytes=copy_rate(COPIED_BYTES if device.type == "cuda" else 2**24, device))


def product_rate(square: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the operations a second of a product of two square matrices of random numbers, without TF32."""
    left, right = (torch.randn((square, square), device=device).to(dtype) for _ in range(2))
    with full_precision():
        return 2 * square**3 * CALLS / _seconds(lambda: [left @ right for _ in range(CALLS)])


def copy_rate(size: int, device: torch.device) -> float:
    """Return the bytes a second, those read and those written, of a copy within the device's memory."""
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size * CALLS / _seconds(lambda: [target.copy_(source) for _ in range(CALLS)])


def _seconds(work: Callable[[], object]) -> float:
    measure = stopwatch(work)
    measure()
    return median(measure() for _ in range(CALLS))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str:
    words = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,clocks.max.sm,power.limit", "--format=csv,noheader"]
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    run_step(main)
