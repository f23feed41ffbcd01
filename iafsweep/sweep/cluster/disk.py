"""Room on the disk: checked before a sweep starts, watched while it runs, and its lack recognised."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from iafsweep.errors import SweepError
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.cluster.footprint import drawn_configurations, run_folder_bytes
from iafsweep.sweep.storage.folder import SweepFolder

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_TORCH_WRITES = ("PytorchStreamWriter", "file write failed", "unexpected pos")
"""What ``torch.save`` says, as a RuntimeError, when a write fails; the file it wrote to is thrown away."""


def check_room(space: SearchSpace, folder: Path, trials: int, at_a_time: int) -> None:
    """Refuse a sweep whose run folders cannot fit.

    Args:
        space: the search space; what its trials need is estimated from configurations drawn from it.
        folder: the sweep folder, which may not exist yet.
        trials: trials to train.
        at_a_time: trials that write at the same time; each has a checkpoint of its step, and writes one beside the one
            it replaces.

    Raises:
        SweepError: there is too little room; the message holds the numbers.
    """
    if trials == 0:
        return
    sizes = [run_folder_bytes(config) for config in drawn_configurations(space)]
    needed = trials * sum(sizes) // len(sizes) + 2 * min(at_a_time, trials) * max(sizes)
    free, floor = free_bytes(folder), floor_bytes(space)
    if free < needed + floor:
        or_elsewhere = "" if SweepFolder(folder).space.exists() else ", take another --runs folder, or fewer --trials"
        raise SweepError(
            f"{trials} trials need about {_text(needed)} on disk and {_text(floor)} stay free (sweep.free_disk), but "
            f"{_existing(folder)} has {_text(free)}; make room{or_elsewhere}"
        )


def lack_of_room(space: SearchSpace, folder: Path) -> str:
    """Return why no new trial may begin; empty if there is room."""
    free, floor = free_bytes(folder), floor_bytes(space)
    if free >= floor:
        return ""
    return f"only {_text(free)} of disk are free, less than the {_text(floor)} that must stay (sweep.free_disk)"


def is_out_of_room(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, says that the disk or the quota is full."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _FULL:
            return True
        if isinstance(each, RuntimeError) and any(sign in str(each) for sign in _TORCH_WRITES):
            return True
    return False


def free_bytes(folder: Path) -> int:
    """Return how much this user may still write where ``folder`` is or will be."""
    return shutil.disk_usage(_existing(folder)).free


def floor_bytes(space: SearchSpace) -> int:
    """Return how much stays free."""
    return int(space.sweep.free_disk * 2**30)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _chain(error: BaseException) -> Iterator[BaseException]:
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__


def _text(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
