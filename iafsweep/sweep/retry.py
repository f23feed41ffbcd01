"""Open trials again that ended badly."""

from __future__ import annotations

from collections.abc import Collection

from iafsweep.errors import SweepError
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.ledger import Ledger
from iafsweep.sweep.rows import EndStatus, Reopened, now

RETRIED: tuple[EndStatus, ...] = ("oom", "failed", "diverged")
"""Ends that a trial can be opened again after."""


def reopen_trials(folder: SweepFolder, statuses: Collection[EndStatus], gpus: float | None) -> tuple[str, ...]:
    """Open again every trial that ended with one of ``statuses``; return their names.

    Out of memory and failed: the trial goes on from its last checkpoint. Diverged: it would diverge again in the same
    step, so it begins afresh with another training seed; its old run folder is kept beside the new one.

    Args:
        folder: the sweep folder.
        statuses: ends to open again.
        gpus: GPUs these trials get from now on; None: as many as the others.

    Raises:
        SweepError: a driver holds the folder, its ledger cannot be used, or no trial ended so.
    """
    with folder.lock(), Ledger.open(folder.ledger) as ledger:
        ended = [trial for trial in ledger.state.finished if trial.finished and trial.finished.status in statuses]
        if not ended:
            raise SweepError(f"no trial of {folder.path} ended as {' or '.join(sorted(statuses))}; see its leaderboard")
        for trial in ended:
            afresh = trial.finished is not None and trial.finished.status == "diverged"
            if afresh:
                folder.put_aside(trial.trial)
            folder.take_stop_request(trial.trial)  # of before it ended
            ledger.append(Reopened(trial=trial.trial, gpus=gpus, afresh=afresh, time=now()))
        return tuple(trial.trial for trial in ended)
