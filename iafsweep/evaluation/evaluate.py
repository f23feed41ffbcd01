"""The evaluation of one run: all figures of its configuration, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from iafsweep.config import RunConfig
from iafsweep.evaluation.jobs import Job, SandwichJob, Scored, measure
from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.shards import ShardResult
from iafsweep.evaluation.simulated import SandwichResult
from iafsweep.evaluation.summary import beside_hais, in_order, per_image_table, write_table
from iafsweep.evaluation.tasks import Result, Task, perform
from iafsweep.models import VAE, folded
from iafsweep.records import METHOD_NAMES, Estimate, SandwichEstimate, Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.device import keep_freed_memory

ScoringProgress = Callable[[str, int, int], None]
"""Called with the label of the task, and the number of network evaluations done and in total, over all figures."""


@dataclass(frozen=True)
class Scores:
    """All figures of a run.

    Attributes:
        estimates: the figures, in the order of the table.
        sandwiches: bounds on simulated images, one per start.
        shards: the scored shards behind the figures.
        images: the per-image figures, as returned by `per_image_table`; None without estimates.
        simulated: the bounds of each simulated image, as returned by `simulated_table`, with settings and seed; None
            without sandwiches.
    """

    estimates: tuple[Estimate, ...]
    sandwiches: tuple[SandwichEstimate, ...]
    shards: tuple[ShardResult, ...]
    images: pd.DataFrame | None
    simulated: pd.DataFrame | None

    def with_beside(self) -> Scores:
        """Return the scores with importance sampling on exactly the images of each HAIS figure added, by method."""
        beside = [] if self.images is None else beside_hais(self.estimates, self.images)
        methods = list(METHOD_NAMES)
        ordered = sorted((*self.estimates, *beside), key=lambda each: methods.index(each.method))
        return replace(self, estimates=tuple(ordered))


def plan_jobs(config: RunConfig, sizes: Mapping[Split, int]) -> list[Job | SandwichJob]:
    """Return the jobs for all figures that a configuration requests, in the order of the table.

    ``sizes`` holds the number of available images per split; splits without images are left out.
    """
    evaluation = config.evaluation
    jobs: list[Job | SandwichJob] = [
        Job("negative_elbo", split, _at_most(evaluation.bound_images, size)) for split, size in sizes.items() if size
    ]
    if test := sizes.get("test", 0):
        jobs.append(Job("importance_sampling", "test", _at_most(evaluation.importance_sampling.images, test)))
        if evaluation.hais.enabled:
            jobs.append(Job("hais", "test", _at_most(evaluation.hais.images, test)))
    jobs += [SandwichJob(start, evaluation.sandwich.images) for start in evaluation.sandwich_starts]
    return jobs


def evaluate(
    model: VAE, images: Mapping[Split, Tensor], config: RunConfig, progress: ScoringProgress | None = None
) -> Scores:
    """Compute all figures that a configuration requests, one task after the other.

    Args:
        model: the autoencoder, in eval mode.
        images: images of each split, uint8 [N, X...], on the model's device.
        config: the run's configuration.
        progress: called before and after every task.
    """
    device = next(model.parameters()).device
    keep_freed_memory(device)
    ready = folded(model)
    jobs = plan_jobs(config, {split: len(each) for split, each in images.items()})
    measurements = [measure(job, config) for job in jobs]
    told = _Told(progress, _evaluations([task for each in measurements for task in each.tasks()]))
    scored = []
    for measurement in measurements:
        while tasks := measurement.tasks():
            measurement.take(_do(tasks, ready, images, told))
            told.total += _evaluations(measurement.tasks())  # a search for a small error may continue
        scored.append(measurement.scored)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return assemble(scored)


def assemble(scored: Sequence[Scored]) -> Scores:
    """Collect the figures of a run, and add importance sampling on exactly the images of HAIS."""
    images: list[pd.DataFrame] = []
    simulated: list[pd.DataFrame] = []
    for each in scored:
        # Use each job's own settings, because a search for a small error changes them.
        made_of = [result for result in each.results if isinstance(result, ShardResult)]
        images += [per_image_table(made_of, each.config.evaluation)] if made_of else []
        bounds = [result for result in each.results if isinstance(result, SandwichResult)]
        simulated += (
            [simulated_table(bounds).assign(settings=each.figure.settings, seed=each.figure.seed)] if bounds else []
        )
    return Scores(
        estimates=tuple(each.figure for each in scored if isinstance(each.figure, Estimate)),
        sandwiches=tuple(each.figure for each in scored if isinstance(each.figure, SandwichEstimate)),
        shards=tuple(result for each in scored for result in each.results if isinstance(result, ShardResult)),
        images=in_order(images) if images else None,
        simulated=pd.concat(simulated, ignore_index=True) if simulated else None,
    ).with_beside()


def write_images(folder: RunFolder, scores: Scores) -> None:
    """Write the per-image figures to ``per_image.parquet``, and those of sandwiches to ``simulated.parquet``."""
    for path, table in ((folder.per_image, scores.images), (folder.simulated, scores.simulated)):
        if table is None:
            path.unlink(missing_ok=True)
        else:
            write_table(path, table)


def simulated_table(results: Sequence[SandwichResult]) -> pd.DataFrame:
    """Return one row per start and simulated image: start, image, both bounds, and their log-weight variances."""
    names = ("lower", "upper", "lower_log_weight_variance", "upper_log_weight_variance")
    frames = []
    for result in results:
        shard = result.shard
        columns = {name: list(getattr(result, name)) for name in names}
        places = range(shard.first, shard.first + shard.count)
        frames.append(pd.DataFrame({"start": shard.start, "image": places, **columns}))
    return pd.concat(frames, ignore_index=True).sort_values(["start", "image"], ignore_index=True)


@dataclass
class _Told:
    """Progress over all figures."""

    progress: ScoringProgress | None
    total: int
    done: int = 0

    def tell(self, task: Task, done: int = 0) -> None:
        """Report that a task begins, or that ``done`` of its evaluations are done."""
        self.done += done
        if self.progress is not None:
            self.progress(task.label, self.done, self.total)


def _evaluations(tasks: Sequence[Task]) -> int:
    return sum(task.evaluations for task in tasks)


def _do(tasks: Sequence[Task], model: VAE, images: Mapping[Split, Tensor], told: _Told) -> dict[str, Result]:
    """Perform tasks in order; a pilot comes before the tasks that need it."""
    results: dict[str, Result] = {}
    for task in tasks:
        told.tell(task)
        needed = None if task.needs is None else results[task.needs]
        results[task.name] = perform(model, images, task, needed if isinstance(needed, FrozenStepSize) else None)
        told.tell(task, task.evaluations)
    return results


def _at_most(asked: int | None, there: int) -> int:
    return there if asked is None else min(asked, there)
