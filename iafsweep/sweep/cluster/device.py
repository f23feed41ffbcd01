"""The device of a process: whether it exists, whether it is empty, and how much of it the process may use."""

import warnings
from collections.abc import Callable

import numpy as np
import torch

from iafsweep.errors import SweepError
from iafsweep.training.device import is_out_of_memory

_KEPT_BYTES = 256 * 2**20
"""GPU memory that libraries keep for themselves; more than this left after a trial is a leak."""

TakeDevice = Callable[[float], torch.device]
"""Returns the device of a trial that was given so many GPUs, or raises; tests without GPUs replace it."""


class ActorNotReusableError(RuntimeError):
    """The previous trial could not be cleared from the process; the new trial must be retried in a new process."""


def take_device(gpus: float) -> torch.device:
    """Return the CPU if ``gpus`` is 0, else the GPU, checked and capped to the process's share of its memory.

    Raises:
        SweepError: the process sees no GPU.
        ActorNotReusableError: the previous trial left memory on it.
    """
    if not gpus:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise SweepError(
            "the process was given a GPU but sees none; check the driver and CUDA_VISIBLE_DEVICES on its node, "
            "or use no GPU (--gpus-per-trial 0)"
        )
    if (kept := torch.cuda.memory_allocated()) > _KEPT_BYTES:
        raise ActorNotReusableError(
            f"the previous trial in this process still holds {kept / 2**20:.0f} MiB of GPU memory"
        )
    if gpus < 1:
        torch.cuda.set_per_process_memory_fraction(0.95 * gpus)
    return torch.device("cuda")


_GPU_FAULT = ("CUDA error", "CUDNN_STATUS", "cuBLAS", "CUBLAS_STATUS", "NCCL")


def is_gpu_fault(error: BaseException) -> bool:
    """Return whether the GPU failed for another reason than lack of memory; later calls to it may fail too."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _GPU_FAULT)


def is_transient(error: BaseException) -> bool:
    """Return whether a new process may succeed: after a file error, a GPU fault or a leak of GPU memory."""
    return isinstance(error, ActorNotReusableError | OSError) or is_gpu_fault(error)


def tensor_over(array: np.ndarray) -> torch.Tensor:
    """Return a tensor over shared memory, which must not be written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
