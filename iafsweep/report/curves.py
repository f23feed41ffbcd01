"""Learning curves of the trials, read from the run folders and thinned so that a page with many stays small."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from iafsweep.errors import RunFolderError
from iafsweep.records import METRIC, EpochMetrics, LeaderboardRow, TextTable
from iafsweep.report.scored import nats_note
from iafsweep.run_files import metrics_file

MOST_CURVES = 500
"""Number of trials, the best, with curves on the page; the bounds of all are on the leaderboard."""
MOST_TRIALS = 24
"""Number of trials, the best, in the table of best epochs."""
_POINTS_IN_ALL = 24_000
_FEWEST_POINTS, _MOST_POINTS = 16, 240

Columns = dict[str, tuple[float | None, ...]]

_LABELS = {
    METRIC: "validation −ELBO",
    "train_negative_elbo": "training −ELBO",
    "train_loss": "training loss, KL weighted",
    "train_kl": "training KL",
    "train_reconstruction": "training reconstruction, −log p(x|z)",
    "validation_kl": "validation KL",
    "validation_reconstruction": "validation reconstruction, −log p(x|z)",
    "active_units": "active units",
    "gradient_norm": "gradient norm, before clipping",
    "clipped_share": "share of clipped steps",
    "learning_rate": "learning rate",
    "kl_weight": "weight of the KL term",
}
_NATS = {METRIC, "train_negative_elbo", "train_loss", "train_kl", "train_reconstruction", "validation_kl",
         "validation_reconstruction"}  # fmt: skip
_NO_CURVE = {"epoch", "seconds", "images_per_second"}


def read_metrics(path: Path, problems: list[str]) -> list[EpochMetrics]:
    """Return the epochs of a trial; none if it has not begun (no file), or if the file is damaged.

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


def learning_curves(
    rows: Sequence[LeaderboardRow], metrics: Mapping[str, Sequence[EpochMetrics]]
) -> tuple[dict[str, str], dict[str, Columns], str]:
    """Return the available series with labels, the columns of each trial, and a note on trials without curves.

    Args:
        rows: the trials, the best first.
        metrics: the epochs of each trial, by name.
    """
    began = [row.trial for row in rows if metrics.get(row.trial)]
    shown = began[:MOST_CURVES]
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _POINTS_IN_ALL // max(len(shown), 1)))
    curves = {trial: _columns(metrics[trial], most) for trial in shown}
    names = dict.fromkeys(name for columns in curves.values() for name in columns if name not in ("epoch", "elapsed"))
    in_bits = nats_note(next((row.dimensions for row in rows), None)) if shown else ""
    return {name: _label(name) for name in names}, curves, f"{_missing(rows, len(began), len(shown))}{in_bits}".strip()


def best_epochs(rows: Sequence[LeaderboardRow], metrics: Mapping[str, Sequence[EpochMetrics]]) -> TextTable:
    """Return the training metrics of the best trials in their best epochs, one row per trial; a dash for no value.

    Args:
        rows: the trials, the best first.
        metrics: the epochs of each trial, by name.
    """
    header = ("trial", "epoch", "reconstruction", "KL", "KL / bound", "active units",
              "gradient norm", "clipped steps", "learning rate")  # fmt: skip
    found = [(row, each) for row in rows for each in metrics.get(row.trial, []) if each.epoch == row.best_epoch]
    cells = [
        (
            row.trial,
            str(each.epoch),
            _cell(each.validation_reconstruction, ".2f"),
            _cell(each.validation_kl, ".2f"),
            _cell(None if each.validation_kl is None else each.latents.share, ".0%"),
            _cell(each.active_units, "d"),
            _cell(each.gradient_norm, ".3g"),
            _cell(each.clipped_share, ".0%"),
            _cell(each.learning_rate, ".3g"),
        )
        for row, each in found[:MOST_TRIALS]
    ]
    return TextTable(header=header, rows=tuple(cells))


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None or not math.isfinite(value) else format(value, form)


def thinned(bounds: Sequence[float | None], most: int) -> list[int]:
    """Return indices of at most ``most`` + 1 epochs to keep: the first, the last, the lowest, and an even spread."""
    if len(bounds) <= most:
        return list(range(len(bounds)))
    kept = {round(place * (len(bounds) - 1) / (most - 1)) for place in range(most)}
    known = [(bound, place) for place, bound in enumerate(bounds) if bound is not None]
    return sorted(kept | {min(known)[1]} if known else kept)


def _columns(epochs: Sequence[EpochMetrics], most: int) -> Columns:
    rows = [each.model_dump() for each in epochs]
    kept = thinned([_finite(row[METRIC]) for row in rows], most)
    elapsed = list(accumulate(row["seconds"] for row in rows))
    columns: Columns = {
        "epoch": tuple(float(rows[place]["epoch"]) for place in kept),
        "elapsed": tuple(_finite(elapsed[place]) for place in kept),
    }
    for name in rows[0].keys() - _NO_CURVE:
        column = tuple(_finite(rows[place][name]) for place in kept)
        if any(value is not None for value in column):
            columns[name] = column
    return {name: columns[name] for name in sorted(columns, key=_place)}


def _place(name: str) -> tuple[int, str]:
    return list(_LABELS).index(name) if name in _LABELS else len(_LABELS), name


def _label(name: str) -> str:
    return _LABELS.get(name, name.replace("_", " ")) + (" (nats per image)" if name in _NATS else "")


def _finite(value: object) -> float | None:
    """Return a finite number with as many digits as a chart can show, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")


def _missing(rows: Sequence[LeaderboardRow], began: int, shown: int) -> str:
    if not rows:
        return "No trial has been proposed yet."
    if not began:
        return "No trial has finished an epoch, or the run folders are missing."
    said = []
    if began < len(rows):
        said.append(f"{len(rows) - began:,} of {len(rows):,} trials have no curve: none of their epochs is on disk.")
    if shown < began:
        said.append(f"Curves are shown for the best {shown:,} of {began:,} trials.")
    return " ".join(said)
