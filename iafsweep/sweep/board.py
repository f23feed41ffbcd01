"""From the ledger to rows of the leaderboard."""

from __future__ import annotations

from iafsweep.records import LeaderboardRow, TrialStatus
from iafsweep.sweep.best import scored_checkpoint
from iafsweep.sweep.proposals import candidate
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
        checkpoint=scored_checkpoint(trial.trial, end, space),
        error=end.error.strip().splitlines()[-1] if end.error.strip() else None,
    )
