"""The best trials of a sweep, which it scores: which they are, from which checkpoint, and which figures are theirs."""

import math
from typing import Literal

from iafsweep.records import Evaluation, RunState
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.state import LedgerState, TrialState


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


def scored_checkpoint(trial: str, end: Finished, space: SearchSpace) -> str | None:
    """Return the file of the checkpoint that the sweep scores, relative to its folder; None if it never came to one."""
    if space.base.evaluation.checkpoint == "last":
        return f"trials/{trial}/last.pt" if end.epochs else None
    return None if end.best_epoch is None else f"trials/{trial}/best.pt"


def scored_epoch(end: Finished, space: SearchSpace) -> int:
    """Return the epoch of that checkpoint: the one that a row's validation bound is of, where it is the best."""
    return end.epochs if space.base.evaluation.checkpoint == "last" or end.best_epoch is None else end.best_epoch


def has_own(evaluation: Evaluation, end: Finished, space: SearchSpace) -> bool:
    """Whether figures belong beside a trial's bound: they are of the checkpoint that the sweep scores, at its epoch.

    Those of a trial that was trained further by hand, or scored from its other checkpoint, do not.
    """
    return (evaluation.checkpoint, evaluation.epoch) == (space.base.evaluation.checkpoint, scored_epoch(end, space))


def saved_epoch(run: RunState, checkpoint: Literal["best", "last"]) -> int:
    """Return the epoch of a run folder's checkpoint, as its own state tells."""
    return run.epochs if checkpoint == "last" or run.best is None else run.best.epoch


def is_at_its_end(run: RunState, end: Finished, space: SearchSpace) -> bool:
    """Whether a run folder still holds the checkpoint that the sweep scores, and not one of training that went on."""
    return saved_epoch(run, space.base.evaluation.checkpoint) == scored_epoch(end, space)
