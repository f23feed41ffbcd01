"""The best configurations of a sweep, from scratch with several seeds: how much of a figure was luck."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from iafsweep.errors import SweepError
from iafsweep.records import LeaderboardRow
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.scoring.selection import best_trials
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep

_RETRAINED: Mapping[str, str | None] = {
    "test_negative_elbo": None,
    "nll_importance_sampling": "nll_importance_sampling_samples",
    "nll_hais": "nll_hais_settings",
}
"""Figures whose mean and spread over seeds stand on the leaderboard, with the field that says how they were made."""


def retrain_folder(folder: SweepFolder, top: int, seeds: int, *, all_images: bool) -> SweepFolder:
    """Return the sweep folder of a retraining, inside the sweep's own; the same settings go on with the same folder."""
    return SweepFolder(folder.path / "retrain" / f"top{top}-seeds{seeds}{'-all' if all_images else ''}")


def retrain_space(sweep: StoredSweep, top: int, seeds: int, *, all_images: bool) -> SearchSpace:
    """Return the space of a retraining: a list of configurations, each trained with several seeds to its end.

    Args:
        sweep: the sweep.
        top: how many of its best trials.
        seeds: how often each is trained.
        all_images: train on training and validation images together; then the last checkpoint is scored.

    Raises:
        SweepError: no trial has completed, or a schedule was found instead of configurations.
    """
    space, path = sweep.space, sweep.folder.path
    if space.sweep.scheduler == "pbt":
        raise SweepError(
            f"{path} trained a population: values changed while its members trained, so that no configuration "
            f"gives their figures from scratch; launch it again with another --seed instead"
        )
    best = best_trials(sweep.state, top)
    if not best:
        raise SweepError(f"no trial of {path} has completed, so there is nothing to train again")
    changes: dict[str, object] = {
        "sampler": "listed",
        "scheduler": "none",
        "repeats": seeds,
        "trials": len(best) * seeds,
        "top": len(best) * seeds,
        "target": None,
        "gpu_hours": None,
    }
    base = space.base
    if all_images:
        data = base.data.model_copy(update={"validation_images": 0})
        evaluation = base.evaluation.model_copy(update={"checkpoint": "last"})
        base = base.model_copy(update={"data": data, "evaluation": evaluation})
    first = tuple(trial.proposed.parameters for trial in best)
    return replace(space, base=base, first=first, sweep=space.sweep.model_copy(update=changes))


def retrainings(folder: SweepFolder) -> list[SweepFolder]:
    """Return the retrainings a sweep has, by name."""
    return [SweepFolder(path.parent) for path in sorted((folder.path / "retrain").glob("*/trials.jsonl"))]


def retrained_figures(retrainings: Iterable[Iterable[LeaderboardRow]]) -> dict[str, dict[str, object]]:
    """Return mean and spread over seeds, by the configuration's parameters as :func:`parameters_key` writes them.

    A figure is of the seeds that were scored on as many images with the same settings, of as many seeds as there are
    such; how many of both, and the settings, are returned beside it. The spread is the standard deviation of one seed's
    figure, None with a single seed. Of several retrainings in which a configuration was scored the last counts.

    Args:
        retrainings: the scored rows of each, the oldest first.
    """
    found: dict[str, dict[str, object]] = {}
    for rows in retrainings:
        groups: defaultdict[str, list[LeaderboardRow]] = defaultdict(list)
        for row in rows:
            if row.status == "completed" and any(getattr(row, name) is not None for name in _RETRAINED):
                groups[parameters_key(row)].append(row)
        found |= {key: _figures(group) for key, group in groups.items()}
    return found


def parameters_key(row: LeaderboardRow) -> str:
    """Return the parameters as a text that is equal for equal ones."""
    return json.dumps(row.parameters, sort_keys=True)


def _figures(rows: Sequence[LeaderboardRow]) -> dict[str, object]:
    figures: dict[str, object] = {"retrained_seeds": len(rows)}
    for name, settings in _RETRAINED.items():
        alike: defaultdict[tuple[int, object], list[float]] = defaultdict(list)
        for row in rows:
            if (value := getattr(row, name)) is not None:
                made_with = None if settings is None else getattr(row, settings)
                alike[getattr(row, f"{name}_images") or 0, made_with].append(value)
        if alike:
            (images, made_with), values = max(alike.items(), key=lambda each: (len(each[1]), each[0][0]))
            figures |= {
                f"retrained_{name}": statistics.fmean(values),
                f"retrained_{name}_spread": statistics.stdev(values) if len(values) > 1 else None,
                f"retrained_{name}_seeds": len(values),
                f"retrained_{name}_images": images or None,
            }
            figures |= {} if settings is None else {f"retrained_{settings}": made_with}
    return figures
