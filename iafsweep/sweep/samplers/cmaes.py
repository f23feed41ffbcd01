"""Covariance matrix adaptation over the numbers of a space; `tpe` proposes the rest."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from cmaes import CMA, get_warm_start_mgd

from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.sampling import Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.estimates import estimated_ends
from iafsweep.sweep.samplers.generations import Generations
from iafsweep.sweep.samplers.learning import LearningProposer, startup_trials
from iafsweep.sweep.samplers.sequences import PointSuggest, place
from iafsweep.sweep.samplers.tpe import TpeLearner
from iafsweep.sweep.storage.events import Known
from iafsweep.sweep.storage.state import LedgerState

_SPREAD = 0.3
"""Initial standard deviation in the unit cube: about that of the Sobol points of the first generation."""

_BEST = 0.1
"""Share of a warm start's trials, the best ones, that the first distribution is fitted to (Nomura et al. 2021)."""


class CmaesLearner:
    """CMA-ES (Hansen 2016) in the unit cube of all unconditional numbers, by the `cmaes` package.

    A generation is the first 4 + 3 ln d of its trials to end, d being the number of these numbers. It is ranked by the
    trials' estimated final bounds, so that early-stopped ones count. The distribution is recomputed from the ledger for
    every proposal.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._searched = space.numbers()
        self._size = 4 + int(3 * math.log(len(self._searched)))
        self._tpe = TpeLearner(space)

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return a draw from the distribution, with the rest from `tpe`; None while too few trials have ended."""
        ends = estimated_ends(state)
        bounds = {name: end.best_value for name, end in ends.items() if end.best_value is not None}
        rest = self._tpe(state, seed)
        if rest is None or len(bounds) < startup_trials(self._space):
            return None
        known = [(self._point(row.parameters), bounds[row.source]) for row in state.known]
        cma = self._first(known)
        own = (event for event in state.events if not isinstance(event, Known))
        for names in Generations(own, self._size, lambda end: True).complete:
            cma.tell(
                [(self._point(state.named[name].proposed.parameters), bounds.get(name, math.inf)) for name in names]
            )
        cma.reseed_rng(seed)
        drawn = dict(zip((each.path for each in self._searched), cma.ask().tolist(), strict=True))
        return _Beside(PointSuggest(drawn), drawn, rest)

    def _first(self, known: list[tuple[np.ndarray, float]]) -> CMA:
        mean, spread, covariance = np.full(len(self._searched), 0.5), _SPREAD, None
        if known:
            mean, spread, covariance = get_warm_start_mgd(known, gamma=max(_BEST, 1 / len(known)))
        unit = np.array([[0.0, 1.0]] * len(self._searched))
        return CMA(mean=mean, sigma=spread, bounds=unit, seed=0, population_size=self._size, cov=covariance)

    def _point(self, values: Mapping[str, Scalar]) -> np.ndarray:
        return np.array([place(each.range, values[each.path]) for each in self._searched])


class _Beside:
    """Numbers from one source where it has them, everything else from another."""

    def __init__(self, numbers: Suggest, names: Mapping[str, float], rest: Suggest) -> None:
        self._numbers, self._names, self._rest = numbers, names, rest

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        return self._rest.choice(name, options)

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        return (self._numbers if name in self._names else self._rest).integer(name, low, high, step=step, log=log)

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        return (self._numbers if name in self._names else self._rest).real(name, low, high, step=step, log=log)


def cmaes_proposer(space: SearchSpace) -> Proposer:
    """Return the `cmaes` proposer.

    Raises:
        ConfigError: the space has no unconditional number.
    """
    return LearningProposer(space, "cmaes", CmaesLearner(space))
