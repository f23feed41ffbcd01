"""The best configurations of a sweep, from scratch with several seeds: how much of a figure was luck."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from iafsweep.errors import SweepError
from iafsweep.records import LeaderboardRow
from iafsweep.sweep.board import best_trials
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.stored import read_state

RETRAINED = ("test_negative_elbo", "nll_importance_sampling", "nll_hais")
"""Figures whose mean and spread over seeds stand on the leaderboard."""


def retrain_folder(folder: SweepFolder, top: int, seeds: int, *, all_images: bool) -> SweepFolder:
    """Return the sweep folder of a retraining, inside the sweep's own; the same settings go on with the same folder."""
    return SweepFolder(folder.path / "retrain" / f"top{top}-seeds{seeds}{'-all' if all_images else ''}")


def retrain_space(space: SearchSpace, folder: SweepFolder, top: int, seeds: int, *, all_images: bool) -> SearchSpace:
    """Return the space of a retraining: a list of configurations, each trained with several seeds to its end.

    Args:
        space: the sweep's space.
        folder: its folder.
        top: how many of its best trials.
        seeds: how often each is trained.
        all_images: train on training and validation images together; then the last checkpoint is scored.

    Raises:
        SweepError: no trial has completed, or a schedule was found instead of configurations.
    """
    if space.sweep.scheduler == "pbt":
        raise SweepError(
            f"{folder.path} trained a population: values changed while its members trained, so that no configuration "
            f"gives their figures from scratch; launch it again with another --seed instead"
        )
    best = best_trials(read_state(folder), top)
    if not best:
        raise SweepError(f"no trial of {folder.path} has completed, so there is nothing to train again")
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
    """Return the retrainings a sweep has, the oldest first."""
    begun = [path.parent for path in (folder.path / "retrain").glob("*/trials.jsonl")]
    return [SweepFolder(path) for path in sorted(begun, key=lambda path: (path / "trials.jsonl").stat().st_ctime)]


def retrained_figures(rows: Mapping[Path, list[LeaderboardRow]]) -> dict[str, dict[str, object]]:
    """Return mean and spread over seeds, by the configuration's parameters as :func:`parameters_key` writes them.

    The spread is the standard deviation of one seed's figure, None with a single seed; of several retrainings of one
    configuration the last counts.

    Args:
        rows: by retraining, the oldest first, its scored rows.
    """
    found: dict[str, dict[str, object]] = {}
    for retraining in rows.values():
        groups: defaultdict[str, list[LeaderboardRow]] = defaultdict(list)
        for row in retraining:
            if row.status == "completed":
                groups[parameters_key(row)].append(row)
        found |= {key: _figures(group) for key, group in groups.items()}
    return found


def parameters_key(row: LeaderboardRow) -> str:
    """Return the parameters as a text that is equal for equal ones."""
    return json.dumps(row.parameters, sort_keys=True)


def _figures(rows: list[LeaderboardRow]) -> dict[str, object]:
    figures: dict[str, object] = {"retrained_seeds": len(rows)}
    for name in RETRAINED:
        values = [value for row in rows if (value := getattr(row, name)) is not None]
        if values:
            figures[f"retrained_{name}"] = statistics.fmean(values)
            figures[f"retrained_{name}_spread"] = statistics.stdev(values) if len(values) > 1 else None
    return figures
