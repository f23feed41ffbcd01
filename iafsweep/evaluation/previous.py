"""Figures of the same checkpoint that were measured before: those that are not measured again are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from iafsweep.config import EvaluationConfig
from iafsweep.errors import RunFolderError
from iafsweep.evaluation.evaluate import Scores, beside
from iafsweep.evaluation.summary import in_order
from iafsweep.records import METHOD_NAMES, Estimate, Evaluation, SandwichEstimate, on_most_images
from iafsweep.texts import readable_settings
from iafsweep.training import RunFolder


@dataclass(frozen=True)
class Earlier:
    """What a run folder holds from an earlier scoring.

    Attributes:
        evaluation: the figures.
        images: the figures of each image; None if there are none, or an earlier version wrote them.
        simulated: bounds of each simulated image; None if there are none.
    """

    evaluation: Evaluation
    images: pd.DataFrame | None
    simulated: pd.DataFrame | None


def read_earlier(run: RunFolder) -> Earlier | None:
    """Return what a run was scored with before; None if it was not, or that cannot be read."""
    try:
        evaluation = run.read_evaluation()
    except RunFolderError:
        return None
    images = _read(run.per_image)
    return Earlier(evaluation, images if images is not None and "settings" in images else None, _read(run.simulated))


def with_earlier(scores: Scores, earlier: Earlier, config: EvaluationConfig) -> Scores:
    """Return new scores with those of the earlier figures, and their images, that were not made again.

    A figure is made again if there is a new one of its method and split, a sandwich if there is one of its start.

    Args:
        scores: the new ones.
        earlier: of the same checkpoint.
        config: what the new ones were made with.
    """
    made = {(each.method, each.split) for each in scores.estimates}
    kept = [each for each in earlier.evaluation.estimates if (each.method, each.split) not in made]
    starts = {each.start for each in scores.sandwiches}
    sandwiches = tuple(each for each in earlier.evaluation.sandwiches if each.start not in starts)
    annealed: list[Estimate] = []
    for each in kept:
        if each.method == "hais":
            sampled = beside(scores.shards, each.images, config)
            annealed += [one for one in sampled if one.binarisation_seeds == each.binarisation_seeds]
            annealed.append(each)
    images, simulated = earlier.images, earlier.simulated
    return replace(
        scores,
        estimates=(*(each for each in kept if each.method != "hais"), *scores.estimates, *annealed),
        sandwiches=(*scores.sandwiches, *sandwiches),
        images=scores.images if images is None else in_order([scores.images, *_rows_of(images, kept)]),
        simulated=_joined(scores.simulated, simulated, sandwiches),
    )


def replaced(scores: Scores, earlier: Earlier) -> list[str]:
    """Return a line on each earlier figure whose place is taken by one with other settings, images, bits or seed."""
    lines = []
    before = on_most_images(earlier.evaluation.estimates)
    for key, new in on_most_images(scores.estimates).items():
        if (old := before.get(key)) is not None and _made_with(old) != _made_with(new):
            lines.append(f"{_in_words(new, old)} replaces {_in_words(old, new)}")
    bounds = {each.start: each for each in earlier.evaluation.sandwiches}
    for sandwich in scores.sandwiches:
        known = bounds.get(sandwich.start)
        if known is not None and _bounded_with(known) != _bounded_with(sandwich):
            lines.append(f"{_bounds_in_words(sandwich)} replaces {_bounds_in_words(known)}")
    return lines


def lost(scores: Scores, earlier: Earlier) -> list[str]:
    """Return in words the earlier figures that new scores have nothing in place of."""
    made = {(each.method, each.split) for each in scores.estimates}
    starts = {each.start for each in scores.sandwiches}
    figures = [each for key, each in on_most_images(earlier.evaluation.estimates).items() if key not in made]
    return [
        *(_in_words(each, each) for each in figures),
        *(_bounds_in_words(each) for each in earlier.evaluation.sandwiches if each.start not in starts),
    ]


def _read(path: Path) -> pd.DataFrame | None:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        return None


def _rows_of(images: pd.DataFrame, kept: list[Estimate]) -> list[pd.DataFrame]:
    found = []
    for each in kept:
        is_its = (images.method == each.method) & (images.split == each.split) & (images.settings == each.settings)
        if is_its.any():
            found.append(images[is_its])
    return found


def _joined(
    new: pd.DataFrame | None, earlier: pd.DataFrame | None, kept: tuple[SandwichEstimate, ...]
) -> pd.DataFrame | None:
    if earlier is None or not kept:
        return new
    rows = earlier[earlier["start"].isin([each.start for each in kept])]
    tables = [rows] if new is None else [new, rows]
    return pd.concat(tables, ignore_index=True).sort_values(["start", "image"], ignore_index=True)


def _made_with(each: Estimate) -> tuple[object, ...]:
    return each.settings, each.images, each.binarisation_seeds, each.seed


def _bounded_with(each: SandwichEstimate) -> tuple[object, ...]:
    return each.settings, each.images, each.seed


def _in_words(each: Estimate, other: Estimate) -> str:
    """A figure in words; seeds where they tell it from the other."""
    text = f"{METHOD_NAMES[each.method]} {readable_settings(each.settings)} on {each.images:,} {each.split} images"
    if each.binarisation_seeds != other.binarisation_seeds:
        text += f", bits of seed {', '.join(str(seed) for seed in each.binarisation_seeds)}"
    return text if each.seed == other.seed else f"{text}, seed {each.seed}"


def _bounds_in_words(each: SandwichEstimate) -> str:
    return f"sandwich from the {each.start} {each.settings} on {each.images:,} simulated images (seed {each.seed})"
