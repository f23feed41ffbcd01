"""Sizes of configurations without building them: parameters and bytes on disk, compared with the free space."""

import errno
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from iafsweep.config import RunConfig
from iafsweep.errors import SweepError
from iafsweep.models import build_model, count_parameters
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.texts import counted

_DRAWN = 16

_FLOATS_PER_PARAMETER = 4
"""``last.pt`` holds the weights and Adam's two moments, ``best.pt`` the weights that are scored."""

_OTHER_BYTES = 2 * 2**20
"""Figures, TensorBoard events, metrics and log of one run."""


def parameter_count(config: RunConfig) -> int:
    """Return the number of trainable parameters of a configuration's model."""
    with torch.device("meta"):
        model = build_model(config.model, config.image_format, seed=0)
    return count_parameters(model)


def run_folder_bytes(config: RunConfig) -> int:
    """Return approximately how many bytes the run folder of a configuration takes."""
    floats = _FLOATS_PER_PARAMETER + (config.training.weight_average > 0)  # averaged weights are in last.pt too
    return 4 * floats * parameter_count(config) + _OTHER_BYTES


def drawn_configurations(space: SearchSpace, count: int = _DRAWN) -> Sequence[RunConfig]:
    """Return configurations of ``space`` for estimates of size, always the same ones."""
    source = RandomSuggest(random.Random(0))
    found = (candidate(space, space.suggest(source)) for _ in range(count))
    return [each.config for each in found if each is not None] or [space.base]


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_TORCH_WRITES = ("PytorchStreamWriter", "file write failed", "unexpected pos")
"""Messages of the RuntimeError that ``torch.save`` raises when a write fails; what it wrote is discarded."""


def check_room(space: SearchSpace, folder: Path, trials: int, at_a_time: int) -> None:
    """Refuse a sweep whose run folders do not fit on the disk.

    The need of its trials is estimated from configurations drawn from ``space``. Each trial that runs at the same time
    also has a mid-epoch checkpoint, and writes a new one before it replaces the old one.

    Raises:
        SweepError: there is too little space; the message gives the figures.
    """
    if trials == 0:
        return
    sizes = [run_folder_bytes(config) for config in drawn_configurations(space)]
    needed = trials * sum(sizes) // len(sizes) + 2 * min(at_a_time, trials) * max(sizes)
    free, floor = free_bytes(folder), floor_bytes(space)
    if free < needed + floor:
        or_elsewhere = "" if SweepFolder(folder).space.exists() else ", choose another --runs folder, or lower --trials"
        raise SweepError(
            f"the run folders of {counted(trials, 'trial')} take about {_text(needed)}, and {_text(floor)} must stay "
            f"free (sweep.free_disk), but {_existing(folder)} has only {_text(free)} free; free some space"
            f"{or_elsewhere}"
        )


def lack_of_room(space: SearchSpace, folder: Path) -> str:
    """Return why no new trial may start on this disk; empty if there is room."""
    free, floor = free_bytes(folder), floor_bytes(space)
    if free >= floor:
        return ""
    return (
        f"only {_text(free)} of disk space is free, less than the {_text(floor)} that must stay free (sweep.free_disk)"
    )


def is_out_of_room(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, means that the disk or the quota is full."""
    for each in _chain(error):
        if isinstance(each, OSError) and each.errno in _FULL:
            return True
        if isinstance(each, RuntimeError) and any(sign in str(each) for sign in _TORCH_WRITES):
            return True
    return False


def free_bytes(folder: Path) -> int:
    """Return how many bytes this user may still write where ``folder`` is or will be."""
    return shutil.disk_usage(_existing(folder)).free


def floor_bytes(space: SearchSpace) -> int:
    """Return how many bytes must stay free."""
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
