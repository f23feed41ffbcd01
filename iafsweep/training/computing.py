"""The precision of a run and whether it is compiled, decided once from the configuration and the machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from iafsweep.config import RunConfig
from iafsweep.models import VAE
from iafsweep.records import Precision
from iafsweep.training.batches import batch_count


@dataclass(frozen=True)
class Computing:
    """The precision of a run and whether its training step is compiled.

    Attributes:
        precision: precision of matrix products and convolutions in training (float32: without TF32). Densities, their
            sums, batch norm statistics and the optimiser are always float32.
        compiled: whether the training step is compiled.
        note: what the user should know about the choice; empty if nothing.
    """

    precision: Precision
    compiled: bool
    note: str = ""

    @property
    def description(self) -> str:
        """Short text for logs, such as ``float32, not compiled``."""
        return f"{self.precision}, {'compiled' if self.compiled else 'not compiled'}"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products and convolutions."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32


def choose_computing(
    config: RunConfig, model: VAE, device: torch.device, earlier: Computing | None = None
) -> Computing:
    """Choose precision and compilation from the configuration and the machine; nothing is timed.

    ``precision = "auto"`` is float32 on a CPU, where figures must be equal bit for bit, and bfloat16 on a GPU that
    supports it. ``compile = "auto"`` compiles runs that are long enough to gain from it. A resumed run keeps its
    earlier choice.

    Args:
        config: the run's configuration.
        model: the model built from it.
        device: the device of the training.
        earlier: the choice made before the run was interrupted.
    """
    training = config.training
    if earlier is not None:
        precision, pays = earlier.precision, earlier.compiled
    else:
        precision = resolve_precision(training.precision, device)
        pays = training.compile == "auto" and is_worth_compiling(config, model, device)
    slow = _slow_bfloat16(precision, device)
    if training.compile == "off" or (training.compile == "auto" and not pays):
        return Computing(precision, compiled=False, note=slow)
    missing = missing_compiler(device)
    if missing is not None:
        missing = f"{missing}, so the training step is not compiled and training is slower"
        return Computing(precision, compiled=False, note="; ".join(filter(None, (slow, missing))))
    return Computing(precision, compiled=True, note=slow)


def resolve_precision(asked: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """Return the requested precision, with ``auto`` resolved for a device."""
    if asked != "auto":
        return asked
    has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "bfloat16" if has_bfloat16 else "float32"


def _slow_bfloat16(precision: Precision, device: torch.device) -> str:
    """Advice for bfloat16 on a CPU without bfloat16 products; empty if not needed."""
    if precision == "float32" or device.type != "cpu" or has_bfloat16_products():
        return ""
    return (
        "training.precision = 'bfloat16' trains about ten times slower than float32 on this CPU, which has no bfloat16 "
        "instructions (neither avx512_bf16 nor AMX); start again in a new folder with --set training.precision=float32"
    )


def has_bfloat16_products(cpu: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16 numbers in hardware; True if it cannot be determined."""
    try:
        flags = set(cpu.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return True
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})  # the last is Arm's name


def missing_compiler(device: torch.device) -> str | None:
    """Describe the compiler that is missing to compile for a device; None if there is one."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    if device.type == "cuda":  # Triton brings its own, but builds launchers with the machine's C compiler
        names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang", "cc"]
    if any(shutil.which(name) for name in names):
        return None
    return f"no compiler ({' or '.join(names)}) is on the PATH"


SECONDS_A_MODULE = 1.3
"""Compile time per module with weights on a CPU (cold cache, two cores)."""

FLOPS_A_SECOND = 45e9
"""Throughput of one CPU thread in an eager float32 step of fully connected networks."""

SAVED_SHARE = 0.12
"""Share of an eager step's time that compiling saves if there are only matrix products."""

SECONDS_A_MODULE_ON_A_GPU = 1.0

SAVED_SECONDS_A_MODULE_ON_A_GPU = 2e-5
"""Assumed, not measured: an eager step on a GPU waits for its kernel launches, seven or eight per module, forward and
backward. Cost and saving both grow with the number of modules, so only the number of steps matters: more than
100,000."""


def is_worth_compiling(config: RunConfig, model: VAE, device: torch.device) -> bool:
    """Whether compiling saves a run more than twice the time that it costs with an empty cache.

    On a CPU a step with convolutions is not compiled: compiling takes minutes there and gains little or even loses
    time (docs/performance.md).
    """
    steps = config.training.epochs * batch_count(config.data.training_images, config.training.batch_size)
    if device.type == "cuda":
        return steps * SAVED_SECONDS_A_MODULE_ON_A_GPU > 2 * SECONDS_A_MODULE_ON_A_GPU
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    if any(weight.dim() > 2 for weight in weights):  # noqa: PLR2004 - a matrix has two
        return False
    # A multiplication and an addition per weight and image; the backward pass costs twice as much again.
    flops = 3 * 2 * sum(weight.numel() for weight in weights) * config.training.batch_size
    modules = sum(1 for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    saved = steps * flops / (FLOPS_A_SECOND * torch.get_num_threads()) * SAVED_SHARE
    return saved > 2 * modules * SECONDS_A_MODULE
