"""The test figures of the scored trials: diagnostics that say whether to trust them, and paired differences."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd

from iafsweep.records import (
    Estimate,
    Evaluation,
    FigureCell,
    Method,
    PairedDifference,
    ShareCell,
    TextTable,
    shown_figures,
)
from iafsweep.results.comparison import compare_images, told_apart
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.texts import readable_settings

MOST_TRIALS = 24
"""Number of scored trials, the best, with diagnostics on the page; the leaderboard has the figures of all."""
MOST_COMPARED = 8
"""Number of scored trials, the best, that are compared with each other."""
METHODS: dict[Method, str] = {
    "negative_elbo": "test −ELBO",
    "importance_sampling": "test NLL, IS",
    "hais": "test NLL, HAIS",
}


def test_estimates(evaluation: Evaluation, show: Sequence[str]) -> dict[Method, Estimate]:
    """Return each method's figure on test images that the leaderboard shows."""
    shown = shown_figures(evaluation.estimates, show)
    return {method: each for (method, split), each in shown.items() if split == "test"}


def diagnostics_table(evaluations: Mapping[str, Evaluation]) -> TextTable:
    """Return the diagnostics of every test figure as text, one row per figure; a dash for no value."""
    header = (
        "trial", "figure", "settings", "images", "NLL ± s.e.", "untrusted", "k̂", "log-weight variance", "ESS",
        "estimator error", "half the effort", "acceptance", "step size", "evaluations per image", "seconds",
    )  # fmt: skip
    rows = tuple(
        _estimate_cells(trial, each)
        for trial, evaluation in list(evaluations.items())[:MOST_TRIALS]
        for each in evaluation.estimates
        if each.split == "test"
    )
    return TextTable(header=header, rows=rows)


def sandwich_table(evaluations: Mapping[str, Evaluation]) -> TextTable:
    """Return the bounds on simulated images as text, one row per trial and start; no rows if none were measured."""
    header = ("trial", "start", "settings", "images", "lower bound", "upper bound", "gap", "untrusted", "acceptance",
              "step size")  # fmt: skip
    rows = [
        (
            trial,
            each.start,
            each.settings,
            f"{each.images:,}",
            FigureCell(value=each.lower, error=each.lower_error, details=each.details(each.lower)),
            FigureCell(value=each.upper, error=each.upper_error, details=each.details(each.upper)),
            FigureCell(value=each.gap, error=each.gap_error),
            ShareCell(untrusted=each.untrusted_share),
            share(each.acceptance_rate),
            f"{each.step_size:.3g}",
        )
        for trial, evaluation in list(evaluations.items())[:MOST_TRIALS]
        for each in evaluation.sandwiches
    ]
    return TextTable(header=header, rows=tuple(rows))


def paired(folder: SweepFolder, evaluations: Mapping[str, Evaluation]) -> tuple[tuple[PairedDifference, ...], str]:
    """Return the paired differences in test figures between the best scored trials, and a note on which these are.

    Trials whose per-image figures are not on disk or cannot be read are left out.
    """
    tables = {}
    for trial in list(evaluations)[:MOST_COMPARED]:
        try:
            tables[trial] = pd.read_parquet(RunFolder(folder.trial(trial)).per_image)
        except (OSError, ValueError):
            continue
    tables = {trial: table for trial, table in tables.items() if "settings" in table}
    autoregressive = {trial for trial, found in evaluations.items() if found.autoregressive}
    found = tuple(
        told_apart(difference, autoregressive)
        for first, second in combinations(tables, 2)
        for difference in compare_images(tables[first], tables[second], first, second).differences
        if difference.split == "test"
    )
    if not tables:
        return (), "No per-image figures are on disk, so trials cannot be compared image by image."
    some = f" (of the best {MOST_COMPARED} of {len(evaluations):,} scored trials)" * (len(evaluations) > MOST_COMPARED)
    note = (
        f"Trials compared image by image, on the same bits: {', '.join(tables)}{some}. `compare` compares any scored "
        "trials."
    )
    return found, note


def nats_note(dimensions: int | None) -> str:
    """Return a sentence on how nats convert to bits per dimension; empty for binary images."""
    return "" if dimensions is None else f" {dimensions * math.log(2):,.2f} nats per image are 1 bit per dimension."


def number(value: float | None, places: int = 2) -> str:
    """Return a figure as text; a dash for None."""
    return "–" if value is None else f"{value:.{places}f}"


def share(value: float | None) -> str:
    """Return a share as text; a dash for None."""
    return "–" if value is None else f"{value:.0%}"


def _estimate_cells(trial: str, each: Estimate) -> tuple[str | FigureCell | ShareCell, ...]:
    ess = "–"
    if each.effective_sample_size is not None:
        ess = f"{each.effective_sample_size:.1f} of {each.samples:,}"
    half = "–" if each.half_nll is None else f"{each.half_nll - each.nll:+.3f}"
    return (
        trial,
        METHODS[each.method],
        readable_settings(each.settings),
        f"{each.images:,}",
        FigureCell(value=each.nll, error=each.standard_error, details=each.details),
        "–" if each.untrusted_share is None else ShareCell(untrusted=each.untrusted_share),
        number(each.pareto_k),
        number(each.log_weight_variance),
        ess,
        number(each.estimator_error, 3),
        half,
        share(each.acceptance_rate),
        "–" if each.step_size is None else f"{each.step_size:.3g}",
        f"{each.network_evaluations:,}",
        "–" if each.seconds is None else f"{each.seconds:,.1f}",
    )
