"""The status of a sweep, running or not, read from its folder alone; imports neither Ray nor PyTorch."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from iafsweep.records import Evaluation, without_stamp
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.running import doing, read_run_state
from iafsweep.sweep.callbacks.time_left import Pace, pace, time_left
from iafsweep.sweep.scoring.selection import best_trials, has_own, is_at_its_end, scored_checkpoint
from iafsweep.sweep.storage.events import Began, Ended, Finished, Started, SweepStatus
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.stored_sweep import StoredSweep
from iafsweep.texts import Span

_THEN_SCORED: frozenset[SweepStatus] = frozenset({"completed", "exhausted", "stopped"})
"""Ends of training after which the sweep scores."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial that began and has not ended.

    Its epochs and its best validation bound are those of its last checkpoint; ``doing`` is ``starting``, ``compiling``
    or ``training`` before the first.
    """

    trial: str
    epochs: int
    best: float | None
    doing: str = "training"


@dataclass(frozen=True)
class Status:
    """The status of a sweep.

    Attributes:
        folder: the sweep folder.
        driver: the process that drives it; None without one.
        trials: number of trials requested.
        ended: number of trials that ended.
        counts: number of ended trials by status.
        best: the best completed trial.
        running: trials that began and have not ended.
        unscored: trials without figures among the best, which the sweep scores after training, the best first; empty
            while it trains or may still continue training.
        damaged: those of ``unscored`` whose figures exist but cannot be read.
        rerun_files: number of result files of scoring.
        left: least and most seconds of training that are left; None if unknown.
        ended_as: how the last driver's training ended, if it recorded that; scoring comes after it.
        was_killed: whether the last driver disappeared without recording an end of its training.
        problems: what is wrong with the ledger.
        dimensions: number of values in an image, for bits per dimension; None for binary images.
    """

    folder: Path
    driver: str | None
    trials: int
    ended: int
    counts: dict[str, int]
    best: Finished | None
    running: tuple[RunningTrial, ...]
    unscored: tuple[str, ...]
    damaged: tuple[str, ...]
    rerun_files: int
    left: Span | None
    ended_as: Ended | None
    was_killed: bool
    problems: tuple[str, ...]
    dimensions: int | None = None


def status_of(sweep: StoredSweep, now: datetime | None = None) -> Status:
    """Return the status of a sweep."""
    folder, space, state, driver = sweep.folder, sweep.space, sweep.state, sweep.driver
    trials = space.sweep.trials
    last = state.sessions[-1] if state.sessions else None
    unscored = () if driver is not None and state.is_open else _unscored(folder, space, state)
    figures = {trial: folder.trial(trial) / "evaluation.json" for trial in unscored}
    return Status(
        folder=folder.path,
        driver=driver,
        trials=trials,
        ended=len(state.finished),
        counts=dict(Counter(trial.finished.status for trial in state.finished if trial.finished is not None)),
        best=None if state.best is None else state.best.finished,
        running=tuple(_running(folder, trial.trial) for trial in state.unfinished if trial.starts),
        unscored=unscored,
        damaged=tuple(name for name, path in figures.items() if path.exists() and _figures(path) is None),
        rerun_files=sum(1 for _ in folder.rerun.glob("*.json")),
        left=_left(sweep, now or datetime.now(UTC)) if driver is not None else None,
        ended_as=last if isinstance(last, Ended) else None,
        was_killed=driver is None and state.is_open,
        problems=sweep.damage,
        dimensions=space.base.image_format.dimensions,
    )


def _running(folder: SweepFolder, trial: str) -> RunningTrial:
    state = read_run_state(folder, trial)
    if state is None or state.epochs == 0:
        return RunningTrial(trial, 0, None, doing(state))
    return RunningTrial(trial, state.epochs, None if state.best is None else state.best.validation_negative_elbo)


def _unscored(folder: SweepFolder, space: SearchSpace, state: LedgerState) -> tuple[str, ...]:
    """Return the finalists without figures, from their run folders, since scoring writes no row to the ledger."""
    last = state.sessions[-1] if state.sessions else None
    if len(state.finished) < space.sweep.trials and not (isinstance(last, Ended) and last.outcome in _THEN_SCORED):
        return ()
    ended = [(trial.trial, trial.finished) for trial in best_trials(state, len(state.trials)) if trial.finished]
    # A trial that cannot be scored (any more) leaves its place to the next.
    finalists = islice((each for each in ended if _can_be_scored(folder, *each, space)), space.sweep.top)
    return tuple(trial for trial, end in finalists if not _is_scored(folder.trial(trial), end, space))


def _can_be_scored(folder: SweepFolder, trial: str, end: Finished, space: SearchSpace) -> bool:
    checkpoint = scored_checkpoint(trial, end, space)
    state = read_run_state(folder, trial)
    there = checkpoint is not None and (folder.path / checkpoint).exists()
    return there and state is not None and is_at_its_end(state, end, space)


def _is_scored(run: Path, end: Finished, space: SearchSpace) -> bool:
    found = _figures(run / "evaluation.json")
    return found is not None and has_own(found, end, space)


def _figures(path: Path) -> Evaluation | None:
    """Return what an ``evaluation.json`` holds; None if it is missing or damaged. RunFolder would import PyTorch."""
    try:
        return Evaluation.model_validate_json(without_stamp(path.read_bytes())[0])
    except (OSError, ValidationError):
        return None


def _left(sweep: StoredSweep, now: datetime) -> Span | None:
    """Return least and most seconds that the remaining trials take, judged by those begun since the driver started."""
    events = sweep.state.events
    began = next((index for index, event in reversed(list(enumerate(events))) if isinstance(event, Began)), None)
    if began is None or not isinstance(first := events[began], Began):
        return None
    starts: dict[str, datetime] = {}
    ended = []
    for event in events[began:]:
        with suppress(ValueError):  # an invalid time: the trial is ignored
            if isinstance(event, Started):
                starts[event.trial] = datetime.fromisoformat(event.time)
            elif isinstance(event, Finished) and (start := starts.pop(event.trial, None)) is not None:
                ended.append((datetime.fromisoformat(event.time) - start).total_seconds())
    running = [_pace(sweep, trial, max((now - start).total_seconds(), 0.0)) for trial, start in starts.items()]
    waiting = sweep.space.sweep.trials - len(sweep.state.finished) - len(running)
    return time_left(ended, running, max(waiting, 0), first.at_a_time) if running or waiting > 0 else None


def _pace(sweep: StoredSweep, name: str, elapsed: float) -> Pace:
    run, found = read_run_state(sweep.folder, name), sweep.state.named[name].candidate(sweep.space)
    if run is None or found is None:
        return Pace(elapsed)
    return pace(elapsed, run.seconds - (run.compile_seconds or 0.0), run.epochs, found.config.training.epochs)
