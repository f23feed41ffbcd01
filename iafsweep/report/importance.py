"""Which searched parameters matter for a good bound, as Optuna estimates it from a study made of the ledger."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import TrialState as OptunaState

from iafsweep.report.contents import Shares
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.optuna_study import frozen_trial
from iafsweep.sweep.storage.state import LedgerState

FEWEST_TRIALS = 10
"""With fewer completed trials the best of them are too few to tell anything."""
_GOOD_TRIALS = 5
"""Optuna advises to have at least so many trials among the good ones."""
_LEAST_SHARE, _MOST_SHARE = 0.1, 0.5


def parameter_importance(space: SearchSpace, state: LedgerState) -> Shares:
    """Return the importance of every parameter, in shares of 1, the largest first.

    PED-ANOVA (Watanabe, Bansal and Hutter, 2023, arXiv:2304.10255): how far the distribution of a parameter among the
    good completed trials is from its distribution among all completed ones. Good are the best tenth, or the best five
    where that is more. A parameter that was inactive in some trials is estimated from where it was active.
    """
    told = [frozen_trial(space, trial.proposed.parameters, trial.finished) for trial in state.finished
            if trial.finished is not None and trial.finished.status == "completed"]  # fmt: skip
    completed = [trial for trial in told if trial is not None and trial.state == OptunaState.COMPLETE]
    if len(completed) < FEWEST_TRIALS:
        found = f"{len(completed)} trial{'' if len(completed) == 1 else 's'} completed with a bound"
        return Shares.none(f"Too few trials: {found}, importance needs at least {FEWEST_TRIALS}.")
    share = max(_LEAST_SHARE, min(_MOST_SHARE, _GOOD_TRIALS / len(completed)))
    values = _estimate(completed, _varied(completed), share)
    names = sorted(values, key=lambda name: -values[name])
    if not names:
        return Shares.none("No searched parameter has more than one value among the completed trials.")
    note = (
        f"How much each parameter tells the best {share:.0%} of the {len(completed):,} completed trials from the "
        "others (Optuna, PED-ANOVA). Early-stopped trials are not counted. It says that a parameter matters, not which "
        "value is good: see the slices. What makes a trial bad at all may count for little: see the figure beside it."
    )
    return Shares(bars=tuple((name, round(values[name], 4)) for name in names), note=note, empty="")


def _varied(completed: Sequence[optuna.trial.FrozenTrial]) -> list[str]:
    """The parameters with several values: of others the estimate is nothing but the smoothing of its densities."""
    values: dict[str, set[object]] = {}
    for trial in completed:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def _estimate(completed: Sequence[optuna.trial.FrozenTrial], names: list[str], share: float) -> dict[str, float]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that conditional parameters are new to it
        study = optuna.create_study(direction="minimize")
        study.add_trials(completed)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
        return get_param_importances(study, evaluator=evaluator, params=names)
