"""The test figures of the scored trials: with their errors, and with what says whether to trust them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from iafsweep.records import Estimate, Evaluation, FigureCell, Method, ShareCell, TextTable, bits_detail, shown_figures
from iafsweep.records.trust import level_of
from iafsweep.report.figure import Span, SpanRow, Spans
from iafsweep.report.scales import linear
from iafsweep.texts import readable_settings

MOST_TRIALS = 24
"""So many scored trials, the best, are shown one by one; the leaderboard has all of them."""
METHODS: dict[Method, str] = {
    "negative_elbo": "test −ELBO",
    "importance_sampling": "test NLL, IS",
    "hais": "test NLL, HAIS",
}


def test_estimates(evaluation: Evaluation, show: Sequence[str]) -> dict[Method, Estimate]:
    """Return the figure of each method on test images that the leaderboard shows."""
    shown = shown_figures(evaluation.estimates, show)
    return {method: each for (method, split), each in shown.items() if split == "test"}


def is_trusted(estimate: Estimate) -> bool | None:
    """Whether few images are untrusted; None without diagnostics."""
    return None if estimate.untrusted_share is None else level_of(estimate.untrusted_share) == "good"


def figures_with_errors(evaluations: Mapping[str, Evaluation], show: Sequence[str] = ()) -> Spans:
    """Return the test figures of the best scored trials, each with its standard error over images."""
    rows, values = [], []
    for trial, evaluation in list(evaluations.items())[:MOST_TRIALS]:
        spans = []
        for method, estimate in test_estimates(evaluation, show).items():
            if math.isfinite(estimate.nll):
                error = estimate.standard_error if math.isfinite(estimate.standard_error) else None
                series = list(METHODS).index(method)
                spans.append(Span(series=series, value=estimate.nll, error=error, trusted=is_trusted(estimate)))
                values += [estimate.nll - (error or 0.0), estimate.nll + (error or 0.0)]
        if spans:
            rows.append(SpanRow(trial=trial, spans=tuple(sorted(spans, key=lambda span: span.series))))
    left_out = max(len(evaluations) - MOST_TRIALS, 0)
    note = (
        "Lines are one standard error over images; a hollow mark is a figure whose weights say not to trust it. "
        "Methods may rest on different numbers of images (see the table), so compare within a method."
    )
    note += nats_note(next((each.dimensions for found in evaluations.values() for each in found.estimates), None))
    if left_out:
        note += f" The best {MOST_TRIALS} of {len(evaluations):,} scored trials are shown."
    return Spans(
        name="test-figures",
        title="Test figures with their errors",
        note=note,
        empty="" if rows else "No trial has been scored on test images yet.",
        x=linear("nats per image", values),
        series=tuple(METHODS.values()),
        rows=tuple(rows),
    )


def diagnostics_table(evaluations: Mapping[str, Evaluation]) -> TextTable:
    """Return the diagnostics of every test figure as text, a row a figure; a dash where there is none."""
    header = (
        "trial", "figure", "settings", "images", "NLL ± s.e.", "untrusted", "k̂", "log-weight variance", "ESS",
        "estimator error", "half the effort", "acceptance", "step size", "evaluations an image", "seconds",
    )  # fmt: skip
    rows = tuple(
        _estimate_cells(trial, each)
        for trial, evaluation in list(evaluations.items())[:MOST_TRIALS]
        for each in evaluation.estimates
        if each.split == "test"
    )
    return TextTable(header=header, rows=rows)


def sandwich_table(evaluations: Mapping[str, Evaluation]) -> TextTable:
    """Return the bounds on simulated images as text, a row a trial and start; without rows if none were measured."""
    header = ("trial", "start", "settings", "images", "lower bound", "upper bound", "gap", "untrusted", "acceptance",
              "step size")  # fmt: skip
    rows = [
        (
            trial,
            each.start,
            each.settings,
            f"{each.images:,}",
            FigureCell(value=each.lower, error=each.lower_error, details=bits_detail(each.bits_per_dim(each.lower))),
            FigureCell(value=each.upper, error=each.upper_error, details=bits_detail(each.bits_per_dim(each.upper))),
            FigureCell(value=each.gap, error=each.gap_error),
            ShareCell(untrusted=each.untrusted_share),
            share(each.acceptance_rate),
            f"{each.step_size:.3g}",
        )
        for trial, evaluation in list(evaluations.items())[:MOST_TRIALS]
        for each in evaluation.sandwiches
    ]
    return TextTable(header=header, rows=tuple(rows))


def nats_note(dimensions: int | None) -> str:
    """Return a sentence on how nats become bits per dimension; nothing of images that are bits."""
    return "" if dimensions is None else f" {dimensions * math.log(2):,.2f} nats per image are 1 bit per dimension."


def number(value: float | None, places: int = 2) -> str:
    """Return a figure as text; a dash for none."""
    return "–" if value is None else f"{value:.{places}f}"


def share(value: float | None) -> str:
    """Return a share as text; a dash for none."""
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
        FigureCell(value=each.nll, error=each.standard_error, details=bits_detail(each.bits_per_dim)),
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
