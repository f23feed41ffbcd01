"""A Gaussian process while trials are few, then the tree-structured Parzen estimator."""

from iafsweep.search_space.sampling import Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.gp import GpLearner
from iafsweep.sweep.samplers.learning import LearningProposer
from iafsweep.sweep.samplers.tpe import TpeLearner
from iafsweep.sweep.storage.state import LedgerState


class AutoLearner:
    """Proposes as `gp` until ``procedure.gp_trials`` trials were proposed or known, then as `tpe`.

    The Gaussian process finds good configurations after fewer trials, but its time grows with the cube of their number.
    With two objectives, `tpe` proposes from the beginning. docs/search.md shows what each of the three finds.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._gp, self.tpe = GpLearner(space), TpeLearner(space)
        self._first = space.procedure.gp_trials if space.sweep.objective == "bound" else 0

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return what `gp` or `tpe` proposes; None while too few trials have ended."""
        are_few = len(state.trials) + len(state.known) < self._first
        return (self._gp if are_few else self.tpe)(state, seed)


def auto_proposer(space: SearchSpace) -> Proposer:
    """Return the `auto` proposer."""
    learner = AutoLearner(space)
    return LearningProposer(space, "auto", learner, otherwise=learner.tpe)
