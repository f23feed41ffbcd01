"""Keeps earlier figures of the same checkpoint next to new ones, unless they were made in exactly the same way."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from iafsweep.errors import RunFolderError
from iafsweep.evaluation.evaluate import Scores
from iafsweep.evaluation.summary import in_order, rows_of
from iafsweep.records import METHOD_NAMES, Evaluation, Method, shown_figures
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.texts import readable_settings


@dataclass(frozen=True)
class Earlier:
    """The results of earlier scorings in a run folder."""

    evaluation: Evaluation
    images: pd.DataFrame | None
    simulated: pd.DataFrame | None

    @property
    def methods(self) -> set[Method]:
        """The methods whose test figures have per-image figures too, so that new figures can be added to them."""
        tested = [each for each in self.evaluation.estimates if each.split == "test"]
        return {each.method for each in tested if self.images is not None and len(rows_of(self.images, each))}


def read_earlier(run: RunFolder) -> Earlier | None:
    """Return the results of earlier scorings of a run; None if there are none or they cannot be read."""
    try:
        evaluation = run.read_evaluation()
    except RunFolderError:
        return None
    images, simulated = _read(run.per_image), _read(run.simulated)
    if simulated is not None and "settings" not in simulated:  # an earlier version had one sandwich per start
        settings = {each.start: (each.settings, each.seed) for each in evaluation.sandwiches}
        simulated = simulated[simulated["start"].isin(list(settings))]
        simulated = simulated.assign(
            settings=[settings[start][0] for start in simulated["start"]],
            seed=[settings[start][1] for start in simulated["start"]],
        )
    return Earlier(
        evaluation, images if images is not None and {"settings", "seed"} <= set(images) else None, simulated
    )


def with_earlier(scores: Scores, earlier: Earlier) -> Scores:
    """Return new scores together with the earlier ones; a new figure replaces only one made in exactly the same way.

    Both must be of the same checkpoint.
    """
    estimates, sandwiches = earlier.evaluation.estimates, earlier.evaluation.sandwiches
    made = {each.made_with for each in scores.estimates} | {each.made_with for each in scores.sandwiches}
    images = [each for each in (scores.images, earlier.images) if each is not None]
    simulated = [each for each in (scores.simulated, earlier.simulated) if each is not None]
    keys = ["method", "split", "settings", "seed", "binarisation_seed", "image"]
    if simulated:
        bounds = pd.concat(simulated, ignore_index=True).drop_duplicates(["start", "settings", "seed", "image"])
        bounds = bounds.sort_values(["start", "image"], ignore_index=True, kind="stable")
    return replace(
        scores,
        estimates=(*scores.estimates, *(each for each in estimates if each.made_with not in made)),
        sandwiches=(*scores.sandwiches, *(each for each in sandwiches if each.made_with not in made)),
        images=in_order(images).drop_duplicates(keys, ignore_index=True) if images else None,
        simulated=bounds if simulated else None,
    ).with_beside()


def lost(scores: Scores, earlier: Earlier) -> list[str]:
    """Return descriptions of the earlier figures that new scores do not replace."""
    made = {(each.method, each.split) for each in scores.estimates}
    starts = {each.start for each in scores.sandwiches}
    return [
        *(
            f"{METHOD_NAMES[each.method]} {readable_settings(each.settings)} on {each.images:,} {each.split} images"
            for key, each in shown_figures(earlier.evaluation.estimates).items()
            if key not in made
        ),
        *(
            f"sandwich from the {each.start} {each.settings} on {each.images:,} simulated images (seed {each.seed})"
            for each in earlier.evaluation.sandwiches
            if each.start not in starts
        ),
    ]


def _read(path: Path) -> pd.DataFrame | None:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        return None
