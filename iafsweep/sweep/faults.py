"""Faults that a new process may get over."""

from __future__ import annotations

from iafsweep.sweep.gpu import ActorNotReusableError
from iafsweep.training.memory import is_out_of_memory

_GPU_FAULT = ("CUDA error", "CUDNN_STATUS", "cuBLAS", "CUBLAS_STATUS", "NCCL")


def is_gpu_fault(error: BaseException) -> bool:
    """Return whether the GPU failed, not for lack of memory; what the process asks of it from then on may fail too."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _GPU_FAULT)


def is_transient(error: BaseException) -> bool:
    """Return whether a new process may get further: a file, or a fault of the GPU."""
    return isinstance(error, ActorNotReusableError | OSError) or is_gpu_fault(error)
