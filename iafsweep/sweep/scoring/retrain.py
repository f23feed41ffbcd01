"""Retraining of a sweep's best configurations with several seeds, to show how much of a figure was luck."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from iafsweep.errors import SweepError
from iafsweep.records import Figure, LeaderboardRow, Retrained
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.scoring.selection import best_trials
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep


def retrain_folder(folder: SweepFolder, top: int, seeds: int, *, all_images: bool) -> SweepFolder:
    """Return the sweep folder of a retraining, inside the sweep's own; the same settings continue the same folder."""
    return SweepFolder(folder.path / "retrain" / f"top{top}-seeds{seeds}{'-all' if all_images else ''}")


def retrain_space(sweep: StoredSweep, top: int, seeds: int, *, all_images: bool) -> SearchSpace:
    """Return the space of a retraining: a list of configurations, each trained to its end with several seeds.

    ``all_images``: train on training and validation images together; then the last checkpoint is scored.

    Raises:
        SweepError: no trial has completed, or the sweep trained a population, which finds schedules.
    """
    space, path = sweep.space, sweep.folder.path
    if space.sweep.scheduler == "pbt":
        again = (sweep.folder.space, "--runs", path.parent, "--name", f"{path.name}-seed-{space.sweep.seed + 1}")
        raise SweepError(
            f"{path} trained a population, whose members changed values during training, so no configuration trained "
            f"from scratch reproduces their figures; launch it again with another seed instead: "
            f"{sweep_command('launch', *again, '--seed', space.sweep.seed + 1)}"
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
    """Return the retrainings of a sweep, sorted by name."""
    return [SweepFolder(path.parent) for path in sorted((folder.path / "retrain").glob("*/trials.jsonl"))]


def retrained_figures(retrainings: Iterable[Iterable[LeaderboardRow]]) -> dict[str, Retrained]:
    """Return mean and spread over seeds, keyed by the configuration's parameters (:func:`parameters_key`).

    A figure is averaged over the largest group of seeds that were scored on the same number of images with the same
    settings. The spread is the standard deviation of one seed's figure, None with a single seed. If several retrainings
    scored a configuration, the last counts; validation bounds come from all of them, one per seed. ``retrainings`` are
    the scored rows of each, the oldest first.
    """
    found: dict[str, Retrained] = {}
    bounds: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for rows in retrainings:
        groups: defaultdict[str, list[LeaderboardRow]] = defaultdict(list)
        for row in rows:
            bound, key = row.validation_negative_elbo, parameters_key(row)
            if row.status != "completed":
                continue
            if row.seed is not None and bound is not None and math.isfinite(bound):
                bounds[key][row.seed] = bound
            if row.test_negative_elbo or row.nll_importance_sampling or row.nll_hais:
                groups[key].append(row)
        found |= {key: _retrained(group) for key, group in groups.items()}
    return {
        key: found.get(key, Retrained(seeds=len(bounds[key]))).model_copy(update={"bounds": bounds[key]})
        for key in (*found, *(key for key in bounds if key not in found))
    }


def parameters_key(row: LeaderboardRow) -> str:
    """Return the parameters as JSON that is the same for equal parameters."""
    return json.dumps(row.parameters, sort_keys=True)


def _retrained(rows: Sequence[LeaderboardRow]) -> Retrained:
    return Retrained(
        seeds=len(rows),
        test_negative_elbo=_mean([row.test_negative_elbo for row in rows]),
        nll_importance_sampling=_mean([row.nll_importance_sampling for row in rows]),
        nll_hais=_mean([row.nll_hais for row in rows]),
    )


def _mean(figures: Sequence[Figure | None]) -> Figure | None:
    alike: defaultdict[tuple[int, str | None], list[Figure]] = defaultdict(list)
    for each in figures:
        if each is not None:
            alike[each.images or 0, each.settings].append(each)
    if not alike:
        return None
    most = max(alike.values(), key=lambda each: (len(each), each[0].images or 0))
    values = [each.value for each in most]
    return Figure(
        value=statistics.fmean(values),
        images=most[0].images,
        error=statistics.stdev(values) if len(values) > 1 else None,
        settings=most[0].settings,
        samples=most[0].samples,
        seeds=len(values),
        dimensions=most[0].dimensions,
        autoregressive=most[0].autoregressive,
    )
