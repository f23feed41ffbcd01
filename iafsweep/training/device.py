"""Which device to compute on."""

from __future__ import annotations

from typing import get_args

import torch

from iafsweep.errors import UserError
from iafsweep.records import DeviceChoice


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
    return f"{device.type} ({torch.get_num_threads()} threads)"
