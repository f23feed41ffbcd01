"""Which searched parameters matter for a good bound, estimated by Optuna from the trials of the ledger."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import TrialState as OptunaState

from iafsweep.report.contents import Shares
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.optuna_study import frozen_trial
from iafsweep.sweep.storage.state import LedgerState

FEWEST_TRIALS = 10
"""With fewer completed trials, the best of them are too few for an estimate."""
_GOOD_TRIALS = 5
"""Least number of good trials that Optuna advises."""
_LEAST_SHARE, _MOST_SHARE = 0.1, 0.5


def parameter_importance(space: SearchSpace, state: LedgerState) -> Shares:
    """Return the importance of every parameter, in shares of 1, the largest first.

    PED-ANOVA (Watanabe, Bansal and Hutter, 2023, arXiv:2304.10255) measures how far the distribution of a parameter
    among the good completed trials is from its distribution among all completed ones. The good trials are the best
    tenth, or the best five if that is more. A parameter that was inactive in some trials is estimated from the others.
    """
    told = [frozen_trial(space, trial.proposed.parameters, trial.finished) for trial in state.finished
            if trial.finished is not None and trial.finished.status == "completed"]  # fmt: skip
    completed = [trial for trial in told if trial is not None and trial.state == OptunaState.COMPLETE]
    if len(completed) < FEWEST_TRIALS:
        found = f"{len(completed)} trial{'' if len(completed) == 1 else 's'} completed with a bound"
        return Shares.none(f"Too few trials: {found}; importance needs at least {FEWEST_TRIALS}.")
    share = max(_LEAST_SHARE, min(_MOST_SHARE, _GOOD_TRIALS / len(completed)))
    values = _estimate(completed, _varied(completed), share)
    names = sorted(values, key=lambda name: -values[name])
    if not names:
        return Shares.none("No searched parameter has more than one value among the completed trials.")
    note = (
        f"How well each parameter separates the best {share:.0%} of the {len(completed):,} completed trials from all "
        "of them (Optuna, PED-ANOVA). Early-stopped trials are not counted. Importance shows that a parameter matters, "
        "not which value is good (see the slices). A parameter that makes trials bad may have little importance here; "
        "explained variance shows it."
    )
    return Shares(bars=tuple((name, round(values[name], 4)) for name in names), note=note, empty="")


def _varied(completed: Sequence[optuna.trial.FrozenTrial]) -> list[str]:
    """Return the parameters with several values; for others the estimate would only show how densities are smoothed."""
    values: dict[str, set[object]] = {}
    for trial in completed:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(value)
    return [name for name, found in values.items() if len(found) > 1]


def _estimate(completed: Sequence[optuna.trial.FrozenTrial], names: list[str], share: float) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances  # imports scikit-learn

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about conditional parameters
        study = optuna.create_study(direction="minimize")
        study.add_trials(completed)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
        return get_param_importances(study, evaluator=evaluator, params=names)
