"""Which device to compute on."""

from __future__ import annotations

import torch

from iafsweep.errors import UserError
from iafsweep.records import DeviceChoice


def resolve_device(choice: DeviceChoice) -> torch.device:
    """Return the device asked for; ``auto`` takes a GPU where there is one.

    Raises:
        UserError: cuda was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if choice == "cuda" and not available:
        built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        raise UserError(
            f"--device cuda: no CUDA device is visible (PyTorch {torch.__version__}, built {built}); "
            f"check the driver and CUDA_VISIBLE_DEVICES, or take --device cpu"
        )
    return torch.device("cuda" if available and choice != "cpu" else "cpu")


def device_name(device: torch.device) -> str:
    """Return a name for logs and results, such as ``cuda (NVIDIA H100)`` or ``cpu (2 threads)``."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({torch.get_num_threads()} threads)"
