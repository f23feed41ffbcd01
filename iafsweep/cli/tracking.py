"""How both programs send runs to a tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from iafsweep.atomic import write_text
from iafsweep.cli.errors import INTERRUPTS
from iafsweep.cli.options.ray import TrackerName
from iafsweep.config import RunConfig

if TYPE_CHECKING:
    from iafsweep.search_space.space import SearchSpace
    from iafsweep.sweep.callbacks.base import SweepCallback
    from iafsweep.sweep.callbacks.tracker import SweepTracking
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.training import RunFolder


@contextmanager
def tracked(
    name: TrackerName | None, config: RunConfig, folder: RunFolder, say: Callable[[str], object]
) -> Iterator[Callable[[], None]]:
    """Send a single run to a tracker while the block trains and scores it; yield a function to call after each epoch.

    Without a ``name`` nothing is sent. At the end ``say`` receives any problem with the tracker.

    Raises:
        UserError: the tracker's package is not installed.
    """
    if name is None:
        yield lambda: None
        return
    from iafsweep.training import DivergedError
    from iafsweep.training.tracking import RunToTrack, make_mirror

    mirror, status, before = make_mirror(name), "failed", _stamp(folder)

    def news(status: str = "") -> None:
        mirror.news(RunToTrack(_key(folder), folder.path.absolute().name, "", config.published, folder), status)

    try:
        yield news
        status = "completed"
    except INTERRUPTS:
        status = "interrupted"
        raise
    except DivergedError:
        status = "diverged"
        raise
    finally:
        if folder.last.exists() and _stamp(folder) != before:  # otherwise it never began
            news(status)
        if trouble := mirror.close(say):
            say(trouble)


def _stamp(folder: RunFolder) -> tuple[int, ...]:
    """Return a value that changes whenever an epoch or figures are written."""
    files = [path.stat() for path in (folder.metrics, folder.evaluation) if path.exists()]
    return tuple(number for file in files for number in (file.st_mtime_ns, file.st_size))


@contextmanager
def tracked_sweep(
    name: TrackerName | None, space: SearchSpace, folder: SweepFolder, progress: SweepCallback
) -> Iterator[SweepTracking | None]:
    """Send all trials of a sweep to a tracker; yield the callback that does so, or None if nothing is sent.

    Without a ``name`` nothing is sent. ``progress`` receives any problem with the tracker, once.

    Raises:
        UserError: the tracker's package is not installed.
    """
    if name is None:
        yield None
        return
    from iafsweep.sweep.callbacks.tracker import SweepTracking
    from iafsweep.training.tracking import make_mirror

    tracking = SweepTracking(make_mirror(name), space, folder, progress.message)
    try:
        yield tracking
    finally:
        tracking.close()


def _key(folder: RunFolder) -> str:
    """Return the identifier of a run at a tracker, which is drawn once and kept."""
    path = folder.path / "tracker.key"
    if not path.exists():
        write_text(path, uuid4().hex)
    return path.read_text(encoding="utf-8").strip()
