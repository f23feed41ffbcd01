"""The evaluation of one run: every figure of its configuration, one table, one JSON file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.evaluation.figures import first_images, summarise
from iafsweep.evaluation.scoring import score_shard, tune
from iafsweep.evaluation.shards import ShardResult, plan_shards
from iafsweep.models import VAE
from iafsweep.records import Estimate, Method, Split

Progress = Callable[[str, int, int], None]
"""Told what is being scored, how many images are done, and of how many."""


class Job(NamedTuple):
    """One figure to be made: a method on the first images of a split."""

    method: Method
    split: Split
    images: int


def plan_jobs(config: RunConfig, sizes: Mapping[Split, int]) -> list[Job]:
    """Return the figures that a configuration asks for, in the order of the table.

    Args:
        config: the run's configuration.
        sizes: images there are of each split; splits without images are left out.
    """
    evaluation = config.evaluation
    jobs = [
        Job("negative_elbo", split, _at_most(evaluation.bound_images, size)) for split, size in sizes.items() if size
    ]
    test = sizes.get("test", 0)
    jobs.append(Job("importance_sampling", "test", _at_most(evaluation.importance_sampling.images, test)))
    if evaluation.hais.enabled:
        jobs.append(Job("hais", "test", _at_most(evaluation.hais.images, test)))
    return jobs


def evaluate(
    model: VAE, images: Mapping[Split, Tensor], config: RunConfig, progress: Progress | None = None
) -> tuple[tuple[Estimate, ...], list[ShardResult]]:
    """Make every figure that a configuration asks for.

    Args:
        model: in eval mode.
        images: uint8 [N, X...] of each split, on the model's device.
        config: the run's configuration.
        progress: called after every shard.

    Returns:
        The figures, and the scored shards that they were made from.
    """
    model.requires_grad_(requires_grad=False)
    seed = config.data.binarisation_seed
    estimates: list[Estimate] = []
    everything: list[ShardResult] = []
    for job in plan_jobs(config, {split: len(each) for split, each in images.items()}):
        estimate, results = run_job(model, images[job.split], job, config.evaluation, seed, progress)
        if job.method == "hais":
            estimates += beside(everything, job.images, config.evaluation, seed)
        estimates.append(estimate)
        everything += results
    return tuple(estimates), everything


def beside(
    results: Sequence[ShardResult], images: int, config: EvaluationConfig, binarisation_seed: int
) -> list[Estimate]:
    """Return importance sampling on the first ``images`` images alone, if it was done on more: to stand beside HAIS."""
    scored = [result for result in results if result.shard.method == "importance_sampling"]
    if sum(result.shard.count for result in scored) <= images:
        return []
    return [summarise(first_images(scored, images), config, binarisation_seed)]


def run_job(
    model: VAE,
    images: Tensor,
    job: Job,
    config: EvaluationConfig,
    binarisation_seed: int,
    progress: Progress | None = None,
) -> tuple[Estimate, list[ShardResult]]:
    """Make one figure, shard by shard; for HAIS a pilot freezes the step size first."""
    step_size = None
    if job.method == "hais":
        if progress is not None:
            progress("hais pilot", 0, job.images)
        step_size = tune(model, images[: job.images], config, binarisation_seed).step_size
    results = []
    for shard in plan_shards(job.method, job.split, job.images):
        part = images[shard.first : shard.first + shard.count]
        results.append(score_shard(model, part, shard, config, binarisation_seed, step_size))
        if progress is not None:
            progress(f"{job.method} ({job.split})", shard.first + shard.count, job.images)
    if images.device.type == "cuda":
        torch.cuda.empty_cache()
    return summarise(results, config, binarisation_seed, step_size), results


def _at_most(asked: int | None, there: int) -> int:
    return there if asked is None else min(asked, there)
