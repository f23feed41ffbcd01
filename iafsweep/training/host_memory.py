"""Freed memory of the CPU, kept for the next step instead of given back to the system.

glibc maps every buffer above 32 MiB anew and unmaps it when it is freed, and the system fills each page with zeros
when it is touched. A step of a convolutional network takes and frees dozens of such buffers; they were a quarter of its
time (docs/performance.md). Other allocators and systems are left as they are.
"""

from __future__ import annotations

import ctypes
import sys

import torch

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
