"""What a sweep has come to: the ledger's rows of the leaderboard, with the test figures of the rerun."""

from __future__ import annotations

from iafsweep.records import Estimate, Evaluation, LeaderboardRow, Method
from iafsweep.sweep.board import leaderboard_rows
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.retrain import parameters_key, retrained_figures, retrainings
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.state import LedgerState
from iafsweep.sweep.stored import read_sweep
from iafsweep.training import RunFolder


def scored_rows(folder: SweepFolder, state: LedgerState, space: SearchSpace) -> list[LeaderboardRow]:
    """Return a row a trial, in the order of proposal; trials that were scored again have their test figures."""
    rows = [
        row.model_copy(update=_test_figures(RunFolder(folder.trial(row.trial))))
        for row in leaderboard_rows(state, space)
    ]
    again = {}
    for each in retrainings(folder):
        searched, found = read_sweep(each)
        again[each.path] = scored_rows(each, found, searched)
    figures = retrained_figures(again)
    return [row.model_copy(update=figures.get(parameters_key(row), {})) for row in rows]


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
            # A figure of HAIS may be older than that beside it, and of other bits.
            beside = same.method, same.split, same.images, same.binarisation_seeds
            if beside == ("importance_sampling", "test", hais.images, hais.binarisation_seeds):
                figures["nll_importance_sampling_on_hais_images"] = same.nll
                figures["nll_importance_sampling_on_hais_images_error"] = same.standard_error
    return figures | _gap(evaluation, hais)


def _gap(evaluation: Evaluation, hais: Estimate | None) -> dict[str, object]:
    """The gap of the sandwich with HAIS's own start and settings; without HAIS the first there is.

    Where HAIS searched for a small error, its settings are those that the search began with, as in the sandwich.
    """
    settings = None if hais is None else _first_settings(hais)
    for sandwich in evaluation.sandwiches:
        if settings in (None, f"{sandwich.start} {sandwich.settings}"):
            return {
                "hais_gap": sandwich.gap,
                "hais_gap_error": sandwich.gap_error,
                "hais_gap_images": sandwich.images,
            }
    return {}


def _first_settings(hais: Estimate) -> str:
    if hais.until_error is None:
        return hais.settings
    start, effort = hais.settings.split()
    return f"{start} {hais.until_error.rounds[0].effort}x{effort.split('x', 1)[1]}"


def _largest(evaluation: Evaluation, method: Method) -> Estimate | None:
    """The figure of a method on the most test images."""
    test = [each for each in evaluation.estimates if each.method == method and each.split == "test"]
    return max(test, key=lambda estimate: estimate.images, default=None)
