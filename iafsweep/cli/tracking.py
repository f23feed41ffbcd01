"""The option that sends runs to a tracker, for both command lines, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

from iafsweep.atomic import write_text
from iafsweep.cli import errors
from iafsweep.cli.options.tracker import TrackerName
from iafsweep.config import RunConfig

if TYPE_CHECKING:
    from iafsweep.search_space.space import SearchSpace
    from iafsweep.sweep.callbacks.base import SweepProgress
    from iafsweep.sweep.callbacks.tracker import SweepTracking
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.training import RunFolder


_ENDS = {0: "completed", errors.DIVERGED: "diverged"} | dict.fromkeys(
    (errors.INTERRUPTED, errors.TERMINATED, errors.HUNG_UP), "interrupted"
)


def tracked(
    name: TrackerName | None, config: RunConfig, folder: RunFolder, say: Callable[[str], object], run: Callable[[], int]
) -> int:
    """Run a single run and send it to a tracker meanwhile, by looking into its folder; return its exit code.

    Args:
        name: of the tracker; None: nothing is sent.
        config: what is trained.
        folder: the run folder.
        say: told, at the end, what was wrong with the tracker.
        run: trains and scores.

    Raises:
        UserError: the tracker's package is not installed; or whatever ``run`` raises.
    """
    if name is None:
        return run()
    from iafsweep.training.tracking import RunToTrack, make_mirror

    seen, one_at_a_time = [_stamp(folder)], Lock()

    def this_run() -> RunToTrack:
        with one_at_a_time:  # two threads ask for the key, which is drawn once
            return RunToTrack(_key(folder), folder.path.absolute().name, "", config, folder)

    def watch() -> RunToTrack | None:
        stamp, before = _stamp(folder), seen[0]
        if stamp == before or not folder.last.exists():
            return None
        seen[0] = stamp
        return this_run()

    mirror, status = make_mirror(name, watch), "failed"
    began = seen[0]
    try:
        code = run()
        status = _ENDS.get(code, "failed")
    finally:
        if not folder.last.exists():  # it never trained; nothing of ours keeps its folder from being used
            _key_path(folder).unlink(missing_ok=True)
        elif _stamp(folder) != began:
            mirror.news(this_run(), status)
        if trouble := mirror.close():
            say(trouble)
    return code


def _stamp(folder: RunFolder) -> tuple[int, ...]:
    """Changes whenever an epoch or figures are written."""
    files = [path.stat() for path in (folder.metrics, folder.evaluation) if path.exists()]
    return tuple(number for file in files for number in (file.st_mtime_ns, file.st_size))


@contextmanager
def tracked_sweep(
    name: TrackerName | None, space: SearchSpace, folder: SweepFolder, progress: SweepProgress
) -> Iterator[SweepTracking | None]:
    """Send all trials of a sweep to a tracker; yields who has to hear of the sweep, None if nothing is sent.

    Args:
        name: of the tracker; None: nothing is sent.
        space: the search space.
        folder: the sweep folder.
        progress: told, once, what is wrong with the tracker.

    Raises:
        UserError: the tracker's package is not installed.
    """
    if name is None:
        yield None
        return
    from iafsweep.sweep.callbacks.tracker import SweepTracking
    from iafsweep.training.tracking import make_mirror

    tracking = SweepTracking(make_mirror(name), space, folder, progress.remark)
    try:
        yield tracking
    finally:
        tracking.close()


def _key_path(folder: RunFolder) -> Path:
    return folder.path / "tracker.key"


def _key(folder: RunFolder) -> str:
    """The name a run keeps at a tracker, drawn once."""
    path = _key_path(folder)
    if not path.exists():
        write_text(path, uuid4().hex)
    return path.read_text(encoding="utf-8").strip()
