"""Learning curves of all trials, read from their run folders and thinned so that a page of a thousand stays small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from iafsweep.errors import RunFolderError
from iafsweep.records import EpochMetrics, LeaderboardRow, TextTable
from iafsweep.report.figure import Curve, Curves
from iafsweep.report.scales import bounded, linear
from iafsweep.report.scored import nats_note
from iafsweep.run_files import metrics_file

_POINTS_IN_ALL = 24_000
_FEWEST_POINTS, _MOST_POINTS = 16, 240


def read_metrics(path: Path, problems: list[str]) -> list[EpochMetrics]:
    """Return the epochs of a trial; none if its file is missing (it did not begin), or damaged, which is noted.

    Args:
        path: ``metrics.jsonl`` of its run folder.
        problems: gets a sentence if the file is damaged.
    """
    if not path.exists():
        return []
    try:
        return metrics_file.read(path)
    except (RunFolderError, OSError):
        problems.append(f"{path.parent.name}/{path.name} is damaged: the trial's learning curve is left out")
        return []


def learning_curves(rows: Sequence[LeaderboardRow], metrics: dict[str, list[EpochMetrics]]) -> Curves:
    """Return the validation bound of every trial over its epochs.

    Args:
        rows: the trials, the best first.
        metrics: the epochs of each by its name.
    """
    known = {row.trial: _bounds(metrics.get(row.trial, [])) for row in rows}
    shown = [row for row in rows if known[row.trial]]
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _POINTS_IN_ALL // max(len(shown), 1)))
    curves = []
    for row in shown:
        kept = thinned(known[row.trial], most)
        x, y = (tuple(values) for values in zip(*kept, strict=True))
        curves.append(Curve(trial=row.trial, x=x, y=y))
    axis, above = bounded("validation −ELBO (nats per image)", [value for curve in curves for value in curve.y])
    epochs = linear("epoch", [value for curve in curves for value in curve.x])
    in_bits = nats_note(next((row.dimensions for row in rows), None))
    notes = [f"The bound on the validation images after each epoch, at full KL weight.{in_bits}"]
    if above:
        notes.append(f"The axis ends at {axis.high:.0f} nats; {above:,} points lie above it.")
    if len(shown) < len(rows):
        notes.append(
            f"{len(rows) - len(shown):,} of {len(rows):,} trials have no curve: no epoch of theirs is on disk."
        )
    return Curves(
        name="learning-curves",
        title="Validation bound over epochs",
        note=" ".join(notes),
        empty="" if curves else _why_empty(rows, metrics),
        x=epochs.model_copy(update={"whole": True}),
        y=axis,
        curves=tuple(curves),
    )


MOST_TRIALS = 24
"""So many trials, the best, are in the table of their best epochs."""


def best_epochs(rows: Sequence[LeaderboardRow], metrics: dict[str, list[EpochMetrics]]) -> TextTable:
    """Return what training said in the best epoch of the best trials, a row a trial; a dash where it said nothing.

    Args:
        rows: the trials, the best first.
        metrics: the epochs of each by its name.
    """
    header = ("trial", "epoch", "reconstruction", "KL", "active units", "gradient norm", "clipped steps", "step size")
    found = [(row, each) for row in rows for each in metrics.get(row.trial, []) if each.epoch == row.best_epoch]
    cells = [
        (
            row.trial,
            str(each.epoch),
            _cell(each.validation_reconstruction, ".2f"),
            _cell(each.validation_kl, ".2f"),
            _cell(each.active_units, "d"),
            _cell(each.gradient_norm, ".3g"),
            _cell(each.clipped_share, ".0%"),
            _cell(each.learning_rate, ".3g"),
        )
        for row, each in found[:MOST_TRIALS]
    ]
    return TextTable(header=header, rows=tuple(cells))


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Return at most ``most`` + 1 points: the first, the last, the lowest, and others spread evenly between them."""
    if len(points) <= most:
        return list(points)
    kept = {round(place * (len(points) - 1) / (most - 1)) for place in range(most)}
    kept.add(min(range(len(points)), key=lambda place: points[place][1]))
    return [points[place] for place in sorted(kept)]


def _bounds(epochs: Sequence[EpochMetrics]) -> list[tuple[float, float]]:
    return [
        (float(each.epoch), round(value, 3))
        for each in epochs
        if (value := each.validation_negative_elbo) is not None and math.isfinite(value)
    ]


def _why_empty(rows: Sequence[LeaderboardRow], metrics: dict[str, list[EpochMetrics]]) -> str:
    if not rows:
        return "No trial was proposed yet."
    if any(metrics.values()):
        return "No epoch has a finite validation bound: the trials diverged, or trained without validation images."
    return "No trial has finished an epoch, or the run folders are not here."
