"""Which trials of a sweep are scored, from which checkpoint, and which figures belong to them."""

import math
from typing import Literal

from iafsweep.records import Evaluation, RunState
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState, TrialState


def best_trials(state: LedgerState, count: int) -> tuple[TrialState, ...]:
    """Return the completed trials with the lowest validation bounds, best first, ties in order of proposal.

    Trials without a bound (trained on the validation images too) come last.
    """
    ranked = [
        (math.inf if end.best_value is None else end.best_value, trial.proposed.number, trial)
        for trial in state.finished
        if (end := trial.finished) is not None and end.status == "completed"
    ]
    return tuple(trial for _, _, trial in sorted(ranked, key=lambda entry: entry[:2])[:count])


def scored_checkpoint(trial: str, end: Finished, space: SearchSpace) -> str | None:
    """Return the path, relative to the sweep's folder, of the checkpoint that it scores; None if there is none."""
    if space.base.evaluation.checkpoint == "last":
        return f"trials/{trial}/last.pt" if end.epochs else None
    return None if end.best_epoch is None else f"trials/{trial}/best.pt"


def scored_epoch(end: Finished, space: SearchSpace) -> int:
    """Return the epoch of that checkpoint; if it is the best one, the epoch of the row's validation bound."""
    return end.epochs if space.base.evaluation.checkpoint == "last" or end.best_epoch is None else end.best_epoch


def has_own(evaluation: Evaluation, end: Finished, space: SearchSpace) -> bool:
    """Whether figures belong to a trial's bound: they are of the checkpoint that the sweep scores, at its epoch.

    Figures of a trial that was trained further by hand, or scored from its other checkpoint, do not.
    """
    return (evaluation.checkpoint, evaluation.epoch) == (space.base.evaluation.checkpoint, scored_epoch(end, space))


def saved_epoch(run: RunState, checkpoint: Literal["best", "last"]) -> int:
    """Return the epoch of a run folder's checkpoint, according to its state."""
    return run.epochs if checkpoint == "last" or run.best is None else run.best.epoch


def is_at_its_end(run: RunState, end: Finished, space: SearchSpace) -> bool:
    """Whether a run folder still holds the checkpoint that the sweep scores, not one from further training."""
    return saved_epoch(run, space.base.evaluation.checkpoint) == scored_epoch(end, space)
