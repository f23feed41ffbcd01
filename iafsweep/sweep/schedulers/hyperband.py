"""Asynchronous Hyperband: successive halving in several brackets, some of which begin to stop trials late."""

import math

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.schedulers.asha import is_above_quantile, rungs
from iafsweep.sweep.schedulers.base import RecordingRule
from iafsweep.sweep.storage.state import LedgerState


class Brackets(RecordingRule):
    """Brackets s = 0, ..., R over R rungs; bracket s skips the first s rungs (Li et al. 2018, asynchronous Hyperband).

    In bracket s, a trial stops at a rung if its bound is above the 1/factor quantile of the bounds that trials of the
    bracket recorded there before it; in the last bracket no trial stops. Of each cycle of trials

        n_s = ceil((R + 1) / (R - s + 1) * factor^(R - s))

    belong to bracket s, as in Hyperband, so that all brackets cost about the same. A trial's number determines its
    bracket, and brackets alternate as evenly as their sizes allow.

    Args:
        grace: the first rung of bracket 0.
        factor: about one in ``factor`` trials continues past each rung.
        epochs: the most epochs of any trial; rungs are below it.

    Raises:
        ValueError: grace is below 1 or factor below 2.
    """

    def __init__(self, grace: int, factor: int, epochs: int) -> None:
        super().__init__(rungs(grace, factor, epochs))
        self._factor = factor
        last = len(self.milestones)
        sizes = [math.ceil((last + 1) / (left + 1) * factor**left) for left in range(last, -1, -1)]
        places = sorted(((turn + 0.5) / size, bracket) for bracket, size in enumerate(sizes) for turn in range(size))
        self._cycle = [bracket for _, bracket in places]

    def bracket(self, trial: str) -> int:
        """Return the bracket of a trial, given its name; ``t0001`` is the first trial."""
        return self._cycle[(int(trial[1:]) - 1) % len(self._cycle)]

    def _stops(self, trial: str, epoch: int, value: float) -> bool:
        mine = self.bracket(trial)
        if epoch not in self.milestones[mine:]:
            return False
        before = [bound for other, bound in self._recorded[epoch].items() if self.bracket(other) == mine]
        return is_above_quantile(value, before, self._factor)


def make_brackets(space: SearchSpace, state: LedgerState) -> Brackets:
    """Return the brackets of ``space``, filled from the ledger."""
    rule = Brackets(space.grace_epochs, space.sweep.reduction_factor, space.most_epochs)
    rule.refill(state.events)
    return rule
