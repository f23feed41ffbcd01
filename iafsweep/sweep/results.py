"""What a sweep has come to: its ledger and run folders as rows of a leaderboard."""

from __future__ import annotations

from iafsweep.records import Estimate, Evaluation, LeaderboardRow, Method
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.state import LedgerState, TrialState
from iafsweep.training import RunFolder


def leaderboard_rows(folder: SweepFolder, state: LedgerState) -> list[LeaderboardRow]:
    """Return a row a trial, in the order of proposal; trials that were scored again have their test figures."""
    return [_row(folder, trial) for trial in state.trials]


def _row(folder: SweepFolder, trial: TrialState) -> LeaderboardRow:
    run = RunFolder(folder.trial(trial.trial))
    end = trial.finished
    row = LeaderboardRow(
        trial=trial.trial,
        status=_unfinished_status(trial) if end is None else end.status,
        parameters=trial.proposed.parameters,
        seed=trial.proposed.seed,
    )
    if end is None:
        return row
    figures = {
        "epochs": end.epochs,
        "best_epoch": end.best_epoch,
        "validation_negative_elbo": end.best_value,
        "parameters_count": end.parameters,
        "seconds": end.seconds,
        "gpu_seconds": end.gpu_seconds,
        "checkpoint": folder.relative(run.best) if run.best.exists() else None,
        "error": end.error.strip().splitlines()[-1] if end.error.strip() else None,
    }
    if end.best_value is not None and run.config.exists():
        figures["validation_images"] = run.read_config().data.held_out
    return row.model_copy(update={**figures, **_test_figures(run)})


def _unfinished_status(trial: TrialState) -> str:
    return "interrupted" if trial.starts else "pending"


def _test_figures(run: RunFolder) -> dict[str, object]:
    """The figures of the rerun; none if the trial was not scored."""
    if not run.evaluation.exists():
        return {}
    evaluation = run.read_evaluation()
    figures: dict[str, object] = {}
    if (bound := _largest(evaluation, "negative_elbo")) is not None:
        figures |= {"test_negative_elbo": bound.nll, "test_negative_elbo_images": bound.images}
    hais = _largest(evaluation, "hais")
    if (sampled := _largest(evaluation, "importance_sampling")) is not None:
        figures |= {
            "nll_importance_sampling": sampled.nll,
            "nll_importance_sampling_error": sampled.standard_error,
            "nll_importance_sampling_images": sampled.images,
            "nll_importance_sampling_samples": sampled.samples,
            "nll_importance_sampling_estimator_error": sampled.estimator_error,
            "nll_importance_sampling_untrusted": sampled.untrusted_share,
        }
    if hais is not None:
        figures |= {
            "nll_hais": hais.nll,
            "nll_hais_error": hais.standard_error,
            "nll_hais_images": hais.images,
            "nll_hais_estimator_error": hais.estimator_error,
            "nll_hais_settings": hais.settings,
            "nll_hais_untrusted": hais.untrusted_share,
        }
        for same in evaluation.estimates:
            if (same.method, same.split, same.images) == ("importance_sampling", "test", hais.images):
                figures["nll_importance_sampling_on_hais_images"] = same.nll
                figures["nll_importance_sampling_on_hais_images_error"] = same.standard_error
    return figures | _gap(evaluation, hais)


def _gap(evaluation: Evaluation, hais: Estimate | None) -> dict[str, object]:
    """The gap of the sandwich with HAIS's own start; without HAIS the first there is."""
    start = None if hais is None else hais.settings.split()[0]
    for sandwich in evaluation.sandwiches:
        if start in (None, sandwich.start):
            return {
                "hais_gap": sandwich.gap,
                "hais_gap_error": sandwich.gap_error,
                "hais_gap_images": sandwich.images,
            }
    return {}


def _largest(evaluation: Evaluation, method: Method) -> Estimate | None:
    """The figure of a method on the most test images."""
    test = [each for each in evaluation.estimates if each.method == method and each.split == "test"]
    return max(test, key=lambda estimate: estimate.images, default=None)
