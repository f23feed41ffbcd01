"""From the ledger to rows of the leaderboard."""

from __future__ import annotations

import math

from iafsweep.records import LeaderboardRow, TrialStatus
from iafsweep.sweep.proposals import candidate
from iafsweep.sweep.rows import Finished
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.state import LedgerState, TrialState


def leaderboard_rows(state: LedgerState, space: SearchSpace) -> tuple[LeaderboardRow, ...]:
    """Return a row for every trial, ended or not, by number of proposal; without ranks and without test figures.

    Args:
        state: the ledger.
        space: the search space, for the number of validation images.
    """
    return tuple(leaderboard_row(trial, space) for trial in state.trials)


def leaderboard_row(trial: TrialState, space: SearchSpace) -> LeaderboardRow:
    """Return a trial's row: what the ledger tells of its training."""
    proposed, end = trial.proposed, trial.finished
    validation_images = space.base.data.held_out
    found = candidate(space, proposed.parameters, trial.afresh, proposed.repeat) if trial.afresh else None
    seed = proposed.seed if found is None else found.config.training.seed
    if end is None:
        status: TrialStatus = "interrupted" if trial.starts else "pending"
        return LeaderboardRow(trial=trial.trial, status=status, parameters=proposed.parameters, seed=seed)
    return LeaderboardRow(
        trial=trial.trial,
        status=end.status,
        parameters=proposed.parameters,
        epochs=end.epochs,
        best_epoch=end.best_epoch,
        validation_negative_elbo=end.best_value,
        validation_images=None if end.best_value is None else validation_images,
        parameters_count=end.parameters,
        seconds_per_epoch=(end.seconds - end.compile_seconds) / end.epochs if end.epochs else None,
        precision=end.precision,
        compiled=end.compiled,
        compile_seconds=end.compile_seconds,
        seconds=end.seconds,
        gpu_seconds=end.gpu_seconds,
        seed=seed,
        checkpoint=_checkpoint(trial.trial, end, space),
        error=end.error.strip().splitlines()[-1] if end.error.strip() else None,
    )


def _checkpoint(trial: str, end: Finished, space: SearchSpace) -> str | None:
    if space.base.evaluation.checkpoint == "last":
        return f"trials/{trial}/last.pt" if end.epochs else None
    return None if end.best_epoch is None else f"trials/{trial}/best.pt"


def best_trials(state: LedgerState, count: int) -> tuple[TrialState, ...]:
    """Return the completed trials with the lowest validation bounds, best first, the earlier of equal ones first.

    Trials without a bound (trained on the validation images too) come last.
    """
    ranked = [
        (math.inf if end.best_value is None else end.best_value, trial.proposed.number, trial)
        for trial in state.finished
        if (end := trial.finished) is not None and end.status == "completed"
    ]
    return tuple(trial for _, _, trial in sorted(ranked, key=lambda entry: entry[:2])[:count])
