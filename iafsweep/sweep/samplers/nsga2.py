"""A genetic algorithm for two objectives, through Optuna."""

from optuna import Study
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from iafsweep.search_space.sampling import Suggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.generations import Generations
from iafsweep.sweep.samplers.learning import LearningProposer
from iafsweep.sweep.samplers.optuna_study import NAME, StudyTrials, ask
from iafsweep.sweep.storage.events import Finished, Known
from iafsweep.sweep.storage.state import LedgerState

_FEWEST, _MOST = 4, 50


class _Nsga2(NSGAIISampler):
    """Optuna's sampler, with the generations that the ledger gives."""

    def __init__(self, generations: Generations, population: int, seed: int) -> None:
        super().__init__(population_size=population, seed=seed)
        self._generations = generations

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return the generation of the trial to be proposed."""
        return self._generations.now

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the completed trials of a generation."""
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [each for each in trials if self._generations.of[each.user_attrs[NAME]] == generation]


class Nsga2Learner:
    """Non-dominated sorting genetic algorithm II (Deb et al. 2002): children of two of the best of a generation.

    Only completed trials become parents. Inactive parameters are reported with values drawn at random and inherited, as
    genes without effect. The first generation is a Sobol sequence.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._trials = StudyTrials(space, whole=True)

    def __call__(self, state: LedgerState, seed: int) -> Suggest | None:
        """Return a child; None in the first generation."""
        size = min(max(self._space.sweep.trials // self._space.procedure.nsga2_generations, _FEWEST), _MOST)
        generations = Generations(state.events, size, _completed)
        if generations.now == 0:
            return None
        return ask(self._space, self._trials.told(state), _Nsga2(generations, size, seed))


def _completed(end: Finished | Known) -> bool:
    return end.status == "completed" and end.best_value is not None


def nsga2_proposer(space: SearchSpace) -> Proposer:
    """Return the `nsga2` proposer."""
    return LearningProposer(space, "nsga2", Nsga2Learner(space))
