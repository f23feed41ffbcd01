"""Sends a sweep to a tracker: the driver notes which trials have news, and their run folders provide the data."""

from collections.abc import Callable, Iterable

from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.state import LedgerState, TrialState
from iafsweep.sweep.storage.trial_report import TrialReport
from iafsweep.training.tracking import Mirror, RunToTrack


class SweepTracking(SweepCallback):
    """Tells a mirror of the tracker which trials of a sweep have news.

    The driver sends everything, from the run folders. Trials are therefore sent in full even if their process was
    killed, an earlier driver trained them, or the tracker was unreachable during their epochs. ``say`` is told once
    what is wrong with the tracker.
    """

    def __init__(self, mirror: Mirror, space: SearchSpace, folder: SweepFolder, say: Callable[[str], object]) -> None:
        self._mirror, self._space, self._folder, self._say = mirror, space, folder, say

    def begin(self, plan: Plan, state: LedgerState, trials: int) -> None:
        """Send the trials that earlier drivers finished, as far as the tracker does not have them."""
        for trial in state.finished:
            self._news(trial.trial, state)

    def epoch(self, report: TrialReport, state: LedgerState) -> None:
        """Send a trial's epochs."""
        self._news(report.trial, state)

    def finished(self, row: Finished, state: LedgerState) -> None:
        """Send a trial's end."""
        self._news(row.trial, state)

    def scored(self, trials: Iterable[str]) -> None:
        """Send the figures of trials that were scored."""
        state = read_ledger(self._folder.ledger)
        for trial in trials:
            self._news(trial, state)

    def close(self) -> None:
        """Send what is left, for a limited time."""
        self._tell(self._mirror.close(self._say))

    def _news(self, name: str, state: LedgerState) -> None:
        trial = state.named[name]
        if (run := _run(trial, state, self._space, self._folder)) is not None:
            self._mirror.news(run, "" if trial.finished is None else trial.finished.status)
        self._tell(self._mirror.trouble())

    def _tell(self, trouble: str) -> None:
        if trouble:
            self._say(trouble)


def _run(trial: TrialState, state: LedgerState, space: SearchSpace, folder: SweepFolder) -> RunToTrack | None:
    """Return a trial as it is sent to the tracker; None if it no longer belongs to the space."""
    found = trial.candidate(space)
    if found is None:
        return None
    afresh = f"-again-{trial.afresh}" if trial.afresh else ""  # from scratch, so another run
    return RunToTrack(
        key=f"{state.header.sweep}-{trial.trial}{afresh}",
        name=f"{folder.path.name} {trial.trial}",
        group=folder.path.name,
        config=found.config.published,
        folder=RunFolder(folder.trial(trial.trial)),
    )
