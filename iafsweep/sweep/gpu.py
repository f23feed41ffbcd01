"""The device that a process is given: whether it is there, whether it is empty, how much of it is the process's."""

from __future__ import annotations

from collections.abc import Callable

import torch

from iafsweep.errors import SweepError

_KEPT_BYTES = 256 * 2**20
"""GPU memory that libraries keep for themselves; more than this after a trial is a leak."""
TakeDevice = Callable[[float], torch.device]
"""Returns the device of a trial that was given so many GPUs, or raises; tests without GPUs put another in its place."""


class ActorNotReusableError(RuntimeError):
    """The process could not be cleaned of the trial before; the trial is to be tried again in a new one."""


def take_device(gpus: float) -> torch.device:
    """Return the CPU for no GPU; else the GPU, after a look at it, capped to the process's share of its memory.

    Raises:
        SweepError: the process sees no GPU.
        ActorNotReusableError: the trial before left memory on it.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise SweepError(
            "the process was given a GPU but sees none; check the driver and CUDA_VISIBLE_DEVICES on its node, "
            "or take no GPU (--gpus-per-trial 0)"
        )
    if (kept := torch.cuda.memory_allocated()) > _KEPT_BYTES:
        raise ActorNotReusableError(f"{kept / 2**20:.0f} MiB of GPU memory are still held by the trial before")
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(0.95 * gpus)
    return torch.device("cuda")
