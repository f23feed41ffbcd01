"""How a sweep stands, read from its folder alone, whether it runs or not; imports neither Ray nor PyTorch."""

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
"""Ends of training that scoring follows."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial that began and has not ended.

    Its epochs and its best validation bound are those of its last checkpoint; before the first it is ``starting``,
    ``compiling`` or ``training``.
    """

    trial: str
    epochs: int
    best: float | None
    doing: str = "training"


@dataclass(frozen=True)
class Status:
    """How a sweep stands.

    Attributes:
        folder: the sweep folder.
        driver: the process that drives it; None if none does.
        trials: trials asked for.
        ended: trials that ended.
        counts: how they ended.
        best: the best completed trial.
        running: trials that began and have not ended.
        unscored: of the best trials, which the sweep scores after its training, those without figures, the best first;
            none while it still trains, or may go on to.
        damaged: of these, those whose figures are there and cannot be read.
        rerun_files: result files of scoring.
        left: between how many seconds of training are left; None if nothing says.
        ended_as: how the training of the last driver ended, if it said so; scoring comes after it.
        was_killed: whether the last driver went without a word, before its training ended.
        problems: what is wrong with the ledger.
        dimensions: values of an image, over which bits per dimension are told; None of images that are bits.
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
    """Return how a sweep stands."""
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
    """The finalists without figures, from their run folders: scoring may be killed anywhere, and leaves no row."""
    last = state.sessions[-1] if state.sessions else None
    if len(state.finished) < space.sweep.trials and not (isinstance(last, Ended) and last.outcome in _THEN_SCORED):
        return ()
    ended = [(trial.trial, trial.finished) for trial in best_trials(state, len(state.trials)) if trial.finished]
    # One that cannot be scored (any more) leaves its place to the next.
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
    """Between how many seconds the trials that are left take, by those that began since the driver did."""
    events = sweep.state.events
    began = next((index for index, event in reversed(list(enumerate(events))) if isinstance(event, Began)), None)
    if began is None or not isinstance(first := events[began], Began):
        return None
    starts: dict[str, datetime] = {}
    ended = []
    for event in events[began:]:
        with suppress(ValueError):  # a time that is none: that trial tells nothing
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
