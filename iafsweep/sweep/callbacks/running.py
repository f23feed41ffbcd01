"""The running trials: what each is doing and since when, and how long the sweep will still take at their pace."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from iafsweep.records import RunState, without_stamp
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.time_left import Pace, pace, time_left
from iafsweep.sweep.storage.events import ParameterValue
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.trial_report import TrialReport
from iafsweep.texts import span_text

_LOOK_SECONDS = 1.0


def read_run_state(folder: SweepFolder, trial: str) -> RunState | None:
    """Return the state stored in a trial's run folder; None if it is missing or damaged."""
    try:
        return RunState.model_validate_json(without_stamp((folder.trial(trial) / "state.json").read_bytes())[0])
    except (OSError, ValidationError):
        return None


def doing(run: RunState | None, compiled_before: float = 0.0) -> str:
    """Return what a running trial is doing before its first epoch is done.

    Args:
        run: the state in its run folder; None if there is none.
        compiled_before: its seconds of compiling when its process started.
    """
    if run is None:
        return "starting"
    return "compiling" if run.compiled and (run.compile_seconds or 0.0) <= compiled_before else "training"


@dataclass
class RunningTrial:
    """A running trial.

    Attributes:
        trial: its name.
        parameters: its searched values.
        epochs: number of epochs to train; None if unknown.
        since: when its process started, seconds of the monotonic clock.
        doing: ``starting``, ``compiling`` or ``training``.
        report: its last epoch in this process; None before the first.
    """

    trial: str
    parameters: Mapping[str, ParameterValue]
    epochs: int | None
    since: float
    doing: str = "starting"
    report: TrialReport | None = None
    reported: float = 0.0
    before: RunState | None = None
    looked: float = 0.0

    @property
    def epoch(self) -> int:
        """Epochs done, including those in earlier processes."""
        return self.report.epoch if self.report else self.before.epochs if self.before else 0

    @property
    def pace(self) -> Pace:
        """Its pace; training in earlier processes counts for its speed, not for its elapsed seconds."""
        now = time.monotonic()
        known = self.report or self.before
        if known is None or self.epochs is None:
            return Pace(now - self.since)
        silent = now - (self.reported if self.report else self.since)
        return pace(now - self.since, known.seconds - (known.compile_seconds or 0.0), self.epoch, self.epochs, silent)


class RunningTrials:
    """Keeps track of the running trials, in the order in which they started.

    ``dimensions`` is the number of values per image; None for images that are bits.
    """

    def __init__(self, space: SearchSpace, folder: SweepFolder) -> None:
        self.dimensions = space.base.image_format.dimensions
        self._space, self._folder = space, folder
        self._trials: dict[str, RunningTrial] = {}
        self._seconds: list[float] = []
        self._at_a_time = 1

    def begin(self, at_a_time: int) -> None:
        """Note how many trials run at once."""
        self._at_a_time = at_a_time

    def started(self, name: str, state: LedgerState) -> None:
        """Add a trial that a process has started."""
        trial = state.named[name]
        found = trial.candidate(self._space)
        before = read_run_state(self._folder, name)
        before = before if before is not None and before.epochs else None
        epochs = None if found is None else found.config.training.epochs
        self._trials[name] = RunningTrial(name, trial.proposed.parameters, epochs, time.monotonic(), before=before)

    def epoch(self, report: TrialReport) -> None:
        """Note an epoch of a trial."""
        if (trial := self._trials.get(report.trial)) is not None:
            trial.report, trial.reported, trial.epochs, trial.doing = (
                report,
                time.monotonic(),
                report.epochs,
                "training",
            )

    def finished(self, name: str) -> None:
        """Remove a trial that has ended."""
        if (trial := self._trials.pop(name, None)) is not None:
            self._seconds.append(time.monotonic() - trial.since)

    @property
    def all(self) -> list[RunningTrial]:
        """The running trials; the run folder of one without an epoch yet is checked once a second."""
        running = list(self._trials.values())
        for trial in running:
            if trial.doing != "training" and time.monotonic() > trial.looked + _LOOK_SECONDS:
                trial.looked = time.monotonic()
                run = read_run_state(self._folder, trial.trial)
                if trial.before is None or run != trial.before:  # else it is what an earlier process left
                    trial.doing = doing(run, trial.before.compile_seconds if trial.before else 0.0)
        return running

    def left(self, state: LedgerState, trials: int) -> str:
        """Return the time left for the remaining trials in words, after a comma; empty if none remain."""
        waiting = trials - len(state.finished) - len(self._trials)
        if waiting <= 0 and not self._trials:
            return ""
        span = time_left(self._seconds, [each.pace for each in self._trials.values()], max(waiting, 0), self._at_a_time)
        return ", time left unknown" if span is None else f", {span_text(span)} left"
