"""Where to compute: which device, how much memory it has, and what is kept or given back of it."""

from __future__ import annotations

import ctypes
import sys
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
    """Return the device asked for; ``auto`` takes a GPU where there is one.

    Args:
        choice: ``auto``, ``cpu`` or ``cuda``.
        called: what the caller's user calls this choice, for messages: an argument, or a command-line option.

    Raises:
        ValueError: there is no such choice.
        UserError: cuda was asked for and there is none.
    """
    if choice not in get_args(DeviceChoice):
        raise ValueError(f"{called} must be one of {', '.join(get_args(DeviceChoice))}, got {choice!r}")
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        raise UserError(
            f"{called} cuda: no CUDA device is visible (PyTorch {torch.__version__}, built {built}); "
            f"check the driver and CUDA_VISIBLE_DEVICES, or take {called} cpu"
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


def keep_freed_memory(device: torch.device) -> bool:
    """Let this process reuse what it frees if it computes on the CPU; return whether its allocator took the wish.

    glibc alone does. On a GPU the buffers are not the host's, and nothing is changed.

    What the process has taken stays with it until it ends or :func:`give_freed_memory_back` is called; the reference
    recipe's most is a fifth higher so. It counts for the whole process, as the number of threads does, and calling it
    again changes nothing.

    Args:
        device: where the work is done.
    """
    libc = _glibc()
    if libc is None or device.type != "cpu":
        return False
    wishes = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _PAD_BYTES))
    return all(libc.mallopt(which, value) == 1 for which, value in wishes)


def give_freed_memory_back() -> None:
    """Give the system back every page that is free at this moment, for whoever needs it next."""
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
    # What does not go through PyTorch's own allocator: contexts, graphs, workspaces of libraries.
    "CUDA out of memory",
    "CUDA error: out of memory",
    "STATUS_ALLOC_FAILED",
    "DEVICE_ALLOCATION_FAILED",
    "HOST_ALLOCATION_FAILED",
)

_FLOAT = 4

REMEDY = "lower model.latent_size, the sizes under model.encoder, model.decoder and model.flow, or training.batch_size"


@dataclass(frozen=True)
class MemoryNeed:
    """What one training step takes at least.

    Attributes:
        parameters: trainable parameters by part of the model (``encoder``, ``flow``, ...).
        activations: bytes that a batch keeps for the backward pass, in float32.
        total: bytes in all.
    """

    parameters: dict[str, int]
    activations: int
    total: int


def training_memory(config: RunConfig) -> MemoryNeed:
    """Return what training takes at least: nothing is allocated, the networks are run on PyTorch's ``meta`` device.

    Weights, the optimiser's two moments, the average of the weights where there is one and, with validation images, the
    copy of the best weights; with checkpoints less often than every epoch a further copy of all but that; besides the
    larger of gradients and half of the activations (they may be kept in 16 bits).

    Raises:
        RuntimeError: sizes that PyTorch cannot count.
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
        UserError: it cannot; the message names what is large and what to lower.
    """
    try:
        need = training_memory(config)
    except RuntimeError as error:
        raise UserError(f"the model is too large to be built ({str(error).splitlines()[0]}); {REMEDY}") from None
    there = device_memory(device)
    if there is not None and need.total > there:
        parts = ", ".join(f"{name} {count:,}" for name, count in need.parameters.items() if count)
        raise UserError(
            f"training needs at least {size_text(need.total)} of memory, {device.type} has {size_text(there)}: "
            f"{sum(need.parameters.values()):,} parameters ({parts}), and {size_text(need.activations)} for a batch of "
            f"{config.training.batch_size:,} images; {REMEDY}"
        )


def device_memory(device: torch.device) -> int | None:
    """Return the memory of a device in bytes; of the CPU what this process may use; None where it cannot be known."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    share = usable_memory()
    return None if share is None else share.amount


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory of the CPU or the GPU could not be had."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SAYS_ALLOCATION_FAILED)


def size_text(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"


def _activations(model: VAE, images: Tensor, noise: Tensor) -> int:
    """Return the bytes that the bound of a batch keeps for its backward pass, weights not counted."""
    kept: dict[int, Tensor] = {}  # by storage; the tensors are held, so that no number is used twice
    weights = {each.untyped_storage()._cdata for each in model.state_dict(keep_vars=True).values()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        bound_terms(model, images, noise).negative_elbo.mean()
    return sum(each.untyped_storage().nbytes() for place, each in kept.items() if place not in weights)
