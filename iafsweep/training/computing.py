"""How a run computes: in which precision, compiled or not. Decided once, from what is asked for and what there is."""

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
    """How a run computes.

    Attributes:
        precision: of matrix products and convolutions in training (float32: without TF32); densities, their sums, the
            statistics of batch norm and the optimiser are float32 always.
        compiled: whether the step is compiled.
        note: what a user should hear of the choice; empty where there is nothing to say.
    """

    precision: Precision
    compiled: bool
    note: str = ""

    @property
    def description(self) -> str:
        """In two words, for logs."""
        return f"{self.precision}, {'compiled' if self.compiled else 'not compiled'}"

    @property
    def dtype(self) -> torch.dtype:
        """What matrix products and convolutions compute in."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32


def choose_computing(
    config: RunConfig, model: VAE, device: torch.device, earlier: Computing | None = None
) -> Computing:
    """Decide how a run computes; a function of the configuration and the machine, never of a stopwatch.

    ``precision = "auto"`` is float32 on a CPU, where figures are to be equal bit for bit, and bfloat16 on a GPU that
    has it. ``compile = "auto"`` compiles a run that is long enough to win by it. A run that goes on computes as it did.

    Args:
        config: the run's configuration.
        model: built from it.
        device: where it trains.
        earlier: how it computed before it was interrupted.
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
        missing = f"{missing}: the step is not compiled, training is slower"
        return Computing(precision, compiled=False, note="; ".join(filter(None, (slow, missing))))
    return Computing(precision, compiled=True, note=slow)


def resolve_precision(asked: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """Return the precision asked for, or what ``auto`` stands for on a device."""
    if asked != "auto":
        return asked
    has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "bfloat16" if has_bfloat16 else "float32"


def _slow_bfloat16(precision: Precision, device: torch.device) -> str:
    """What to do about bfloat16 on a CPU that has no products of it; empty where there is nothing to say."""
    if precision == "float32" or device.type != "cpu" or has_bfloat16_products():
        return ""
    return (
        "training.precision = 'bfloat16' on a CPU without bfloat16 products (neither avx512_bf16 nor AMX) trains about "
        "ten times slower than float32: begin again in a new folder with --set training.precision=float32"
    )


def has_bfloat16_products(cpu: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this machine's CPU multiplies bfloat16 numbers itself; True where nothing tells."""
    try:
        flags = set(cpu.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return True
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})  # the last is Arm's name


def missing_compiler(device: torch.device) -> str | None:
    """Say which compiler is missing to compile for a device; None if there is one."""
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    if device.type == "cuda":  # Triton brings its own, but builds launchers with the machine's C compiler
        names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang", "cc"]
    if any(shutil.which(name) for name in names):
        return None
    return f"no compiler ({' or '.join(names)}) is on the PATH"


SECONDS_A_MODULE = 1.3
"""Compiling costs so much for each module that has weights (cold cache, two cores)."""

FLOPS_A_SECOND = 45e9
"""What one thread of a CPU does in an eager float32 step of fully connected networks."""

SAVED_SHARE = 0.12
"""So much of an eager step's time compiling saves where there are matrix products alone."""

SECONDS_A_MODULE_ON_A_GPU = 1.0

SAVED_SECONDS_A_MODULE_ON_A_GPU = 2e-5
"""Assumed, not measured: an eager step of a GPU waits for the launches of its kernels, seven or eight a module, forward
and backward. Both costs grow with the modules, so that the number of steps decides: more than 100,000."""


def is_worth_compiling(config: RunConfig, model: VAE, device: torch.device) -> bool:
    """Whether a run saves at least twice the time that compiling its step costs with nothing cached.

    On a CPU a step with convolutions is not compiled: what compiling gains there is too little, or
    less than nothing, for the minutes it takes (docs/performance.md).
    """
    steps = config.training.epochs * batch_count(config.data.training_images, config.training.batch_size)
    if device.type == "cuda":
        return steps * SAVED_SECONDS_A_MODULE_ON_A_GPU > 2 * SECONDS_A_MODULE_ON_A_GPU
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    if any(weight.dim() > 2 for weight in weights):  # noqa: PLR2004 - a matrix has two
        return False
    # A multiplication and an addition for each weight and image; backward costs twice as much again.
    flops = 3 * 2 * sum(weight.numel() for weight in weights) * config.training.batch_size
    modules = sum(1 for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    saved = steps * flops / (FLOPS_A_SECOND * torch.get_num_threads()) * SAVED_SHARE
    return saved > 2 * modules * SECONDS_A_MODULE
