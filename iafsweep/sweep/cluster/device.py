"""The device that a process is given: whether it is there, whether it is empty, how much of it is the process's."""

import warnings
from collections.abc import Callable

import numpy as np
import torch

from iafsweep.errors import SweepError
from iafsweep.training.device import is_out_of_memory

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


_GPU_FAULT = ("CUDA error", "CUDNN_STATUS", "cuBLAS", "CUBLAS_STATUS", "NCCL")


def is_gpu_fault(error: BaseException) -> bool:
    """Return whether the GPU failed, not for lack of memory; what the process asks of it from then on may fail too."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _GPU_FAULT)


def is_transient(error: BaseException) -> bool:
    """Return whether a new process may get further: a file, or a fault of the GPU."""
    return isinstance(error, ActorNotReusableError | OSError) or is_gpu_fault(error)


def tensor_over(array: np.ndarray) -> torch.Tensor:
    """Return a tensor over shared memory, which nobody writes to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
