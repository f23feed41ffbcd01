"""The device to compute on, its memory, and how freed memory is kept or returned to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from iafsweep.config import RunConfig
from iafsweep.errors import UserError
from iafsweep.limits import usable_memory
from iafsweep.models import VAE, build_model, count_parameters
from iafsweep.records import DeviceChoice
from iafsweep.texts import counted
from iafsweep.training.gradient import objective_in
from iafsweep.training.objective import bound_terms


def resolve_device(choice: DeviceChoice, called: str = "device") -> torch.device:
    """Return the requested device; ``auto`` is a GPU if there is one, else the CPU.

    Args:
        choice: ``auto``, ``cpu`` or ``cuda``.
        called: the user's name for this choice in messages, an argument or a command-line option.

    Raises:
        ValueError: the choice is unknown.
        UserError: cuda was requested and is not available.
    """
    if choice not in get_args(DeviceChoice):
        raise ValueError(f"{called} must be one of {', '.join(get_args(DeviceChoice))}, got {choice!r}")
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        raise UserError(
            f"{called} cuda: no CUDA device is visible (PyTorch {torch.__version__}, built {built}); "
            f"check the driver and CUDA_VISIBLE_DEVICES, or use {called} cpu"
        )
    return torch.device("cuda" if available and choice != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """Return a name for logs and results, such as ``cuda (NVIDIA H100)`` or ``cpu (2 threads)``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({counted(torch.get_num_threads(), 'thread')})"


_TRIM_THRESHOLD = -1  # M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_MAX of malloc.h

_TOP_PAD = -2

_MMAP_MAX = -4

_PAD_BYTES = 64 * 2**20

_DENORMAL = 1e-310
"""Of float64, Python's own numbers, to which the same setting applies."""


def keep_freed_memory(device: torch.device) -> bool:
    """Let a process that computes on the CPU keep freed memory for reuse; return whether the allocator accepted.

    Only glibc does. On a GPU nothing is changed, because its buffers are not in host memory.

    The process keeps its memory until it ends or :func:`give_freed_memory_back` is called; this raises the peak of the
    reference recipe by a fifth. Like the number of threads, the setting applies to the whole process. Calling it again
    changes nothing.

    Args:
        device: the device that computes.
    """
    libc = _glibc()
    if libc is None or device.type != "cpu":
        return False
    wishes = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD_BYTES))
    return all(libc.mallopt(which, value) == 1 for which, value in wishes)


@contextmanager
def flushing_denormals() -> Iterator[None]:
    """Let this thread's processor take numbers below 1e-38 (denormal float32 numbers) for zero inside the block.

    The moments of weights whose gradient is rarely nonzero decay into such numbers, and so do the tails of likelihoods.
    Processors add and multiply them up to a hundred times as slowly as others. In a sum with a weight or a bound they
    change nothing. PyTorch's other threads keep their own setting.
    """
    before = _DENORMAL * 1.0 == 0  # PyTorch sets it but does not tell
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def give_freed_memory_back() -> None:
    """Return all currently free memory pages to the system, for other processes."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


_SAYS_ALLOCATION_FAILED = (
    "DefaultCPUAllocator",
    "not enough memory",
    "can't allocate memory",
    "bad allocation",
    # Allocations outside of PyTorch's own allocator: contexts, graphs, workspaces of libraries.
    "CUDA out of memory",
    "CUDA error: out of memory",
    "STATUS_ALLOC_FAILED",
    "DEVICE_ALLOCATION_FAILED",
    "HOST_ALLOCATION_FAILED",
)

_FLOAT = 4

REMEDY = (
    "lower model.latent_size, the sizes under model.encoder, model.decoder, model.flow and model.prior, "
    "training.batch_size or training.objective_samples"
)


@dataclass(frozen=True)
class MemoryNeed:
    """The least memory that a training step takes.

    Attributes:
        parameters: number of trainable parameters of each part of the model (``encoder``, ``flow``, ...).
        activations: bytes that a batch keeps for the backward pass, in float32.
        total: total bytes.
    """

    parameters: dict[str, int]
    activations: int
    total: int


def training_memory(config: RunConfig) -> MemoryNeed:
    """Return the least memory that training takes, found on PyTorch's ``meta`` device without allocating it.

    It counts the images and, in float32,

    - the weights, the optimiser's two moments, and the average of the weights if there is one; all of these twice if
      checkpoints are written less often than every epoch;
    - with validation images, a copy of the best weights;
    - the larger of the gradients and half of the activations (which may be kept in 16 bits).

    Raises:
        RuntimeError: the sizes are too large for PyTorch to count.
    """
    with torch.device("meta"):
        model = build_model(config.model, config.image_format, config.training.seed)
        images = torch.empty(config.training.batch_size, *config.image_format.shape)
        samples = objective_in(config.training, config.training.epochs - 1).samples
        noise = torch.empty(samples, config.training.batch_size, config.model.latent_size)
    parameters = {name: count_parameters(part) for name, part in model.named_children()}
    weights = _FLOAT * sum(parameters.values())
    kept = 3 + (config.training.weight_average > 0)
    copies = kept * (1 + (config.training.checkpoint_every_epochs > 1)) + (config.data.held_out > 0)
    activations = _activations(model, images, noise)
    validation = _FLOAT * config.data.held_out * (images[0].numel() + config.model.latent_size)
    pixels = config.data.facts.training_images * images[0].numel()
    return MemoryNeed(parameters, activations, weights * copies + max(weights, activations // 2) + validation + pixels)


def refuse_too_large(config: RunConfig, device: torch.device) -> None:
    """Refuse a configuration whose training cannot fit into the memory of ``device``.

    Raises:
        UserError: it does not fit; the message names what is large and what to lower.
    """
    try:
        need = training_memory(config)
    except RuntimeError as error:
        raise UserError(f"the model is too large to build ({str(error).splitlines()[0]}); {REMEDY}") from None
    there = device_memory(device)
    if there is not None and need.total > there:
        parts = ", ".join(f"{name} {count:,}" for name, count in need.parameters.items() if count)
        raise UserError(
            f"training needs at least {size_text(need.total)} of memory, but {device.type} has {size_text(there)}: "
            f"{sum(need.parameters.values()):,} parameters ({parts}), and {size_text(need.activations)} of "
            f"activations for a batch of {config.training.batch_size:,} images; {REMEDY}"
        )


def device_memory(device: torch.device) -> int | None:
    """Return the memory of a device in bytes; for the CPU, what this process may use; None if unknown."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    share = usable_memory()
    return None if share is None else share.amount


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the CPU or the GPU is out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SAYS_ALLOCATION_FAILED)


def size_text(count: int) -> str:
    """Return a number of bytes as text, in GiB or MiB."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


def _activations(model: VAE, images: Tensor, noise: Tensor) -> int:
    """Return the bytes that the bound of a batch keeps for its backward pass, without weights."""
    kept: dict[int, Tensor] = {}  # by storage; holding the tensors keeps storage numbers unique
    weights = {each.untyped_storage()._cdata for each in model.state_dict(keep_vars=True).values()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        bound_terms(model, images, noise).negative_elbo.mean()
    return sum(each.untyped_storage().nbytes() for place, each in kept.items() if place not in weights)
