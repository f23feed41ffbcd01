"""The median stopping rule."""

import math
from statistics import fmean

import numpy as np

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.schedulers.base import RecordingRule
from iafsweep.sweep.storage.state import LedgerState


class MedianRule(RecordingRule):
    """Stops a trial whose best bound so far is above the median of the others' running averages (Golovin et al. 2017).

    At each milestone, the trial's best bound over the milestones so far is compared with the averages, over the same
    milestones, of all other trials that reached this milestone before it.

    Args:
        grace: the first milestone; no trial stops before this epoch.
        epochs: the most epochs of any trial; milestones are below it.
        checks: the most milestones; they are evenly spaced.
        fewest: no trial stops while fewer others have reached the milestone.

    Raises:
        ValueError: one of the four is below 1.
    """

    def __init__(self, grace: int, epochs: int, checks: int, fewest: int) -> None:
        if min(grace, epochs, checks, fewest) < 1:
            raise ValueError(
                f"grace, epochs, checks and fewest must be at least 1, got {grace}, {epochs}, {checks} and {fewest}"
            )
        super().__init__(range(grace, epochs, max(1, math.ceil((epochs - grace) / checks))))
        self._averages: dict[int, dict[str, float]] = {milestone: {} for milestone in self.milestones}
        self._fewest = fewest

    def _stops(self, trial: str, epoch: int, value: float) -> bool:
        mine = [at[trial] for milestone, at in self._recorded.items() if milestone < epoch and trial in at]
        averages = self._averages[epoch]
        others = [averages[other] for other in self._recorded[epoch]]
        averages[trial] = fmean([*mine, value])
        return len(others) >= self._fewest and min([*mine, value]) > float(np.median(others))


def make_median_rule(space: SearchSpace, state: LedgerState) -> MedianRule:
    """Return the rule of ``space``, filled from the ledger."""
    how = space.procedure
    rule = MedianRule(space.grace_epochs, space.most_epochs, how.median_checks, how.median_fewest)
    rule.refill(state.events)
    return rule
