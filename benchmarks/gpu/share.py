"""A quarter of the device: of a GPU as trials take it, of a CPU by a limit on the process's addresses."""

from __future__ import annotations

import resource
from pathlib import Path

import torch

from iafsweep.sweep.cluster.device import take_device

SHARE = 0.25
ON_A_CPU = 600 * 2**20
"""Bytes beyond what the process has already, in a rehearsal."""


def take_quarter(gpus: float) -> torch.device:
    """Return the device with a cap on what this process may take of it; a CPU where no GPU is visible."""
    if torch.cuda.is_available():
        return take_device(gpus)
    torch.set_num_threads(1)  # a thread that begins later finds no room for its stack
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ON_A_CPU
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
    return torch.device("cpu")
