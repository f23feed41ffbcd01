"""From scored shards to figures of a split, and to a table of images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from torch import Tensor

from iafsweep.atomic import replacing
from iafsweep.config import EvaluationConfig
from iafsweep.evaluation.diagnostics import estimator_error, mean_over_images, untrusted_share
from iafsweep.evaluation.shards import ShardResult, column, mean_acceptance
from iafsweep.records import Estimate, Method

PER_IMAGE_COLUMNS = (
    "log_likelihood",
    "standard_error",
    "effective_sample_size",
    "log_weight_variance",
    "pareto_k",
    "untrusted",
)


def summarise(
    results: Sequence[ShardResult], config: EvaluationConfig, binarisation_seed: int, step_size: float | None = None
) -> Estimate:
    """Return the figure of a split from all its shards, whatever order they come in.

    Args:
        results: the shards of one method on one split, together a range from the first image on.
        config: the settings they were scored with.
        binarisation_seed: seed of the split's fixed binarisation.
        step_size: the frozen step size; for HAIS only.

    Raises:
        ValueError: the shards are of several methods or splits, or do not cover a range from 0 without a gap.
    """
    results = _in_order(results)
    method = results[0].shard.method
    nll = mean_over_images(-column(results, "log_likelihood"))
    is_bound = method == "negative_elbo"
    return Estimate(
        method=method,
        split=results[0].shard.split,
        images=nll.images,
        nll=nll.value,
        standard_error=nll.standard_error,
        estimator_error=None if is_bound else estimator_error(column(results, "standard_error")),
        effective_sample_size=None if is_bound else _mean(column(results, "effective_sample_size")),
        log_weight_variance=None if is_bound else _mean(column(results, "log_weight_variance")),
        untrusted_share=None if is_bound else untrusted_share(column(results, "untrusted")),
        settings=settings_text(method, config),
        seed=config.seed,
        binarisation_seed=binarisation_seed,
        acceptance_rate=mean_acceptance(results),
        step_size=step_size,
        network_evaluations=results[0].network_evaluations,
        gradient_evaluations=results[0].gradient_evaluations,
        seconds=math.fsum(result.seconds for result in results),
    )


def first_images(results: Sequence[ShardResult], images: int) -> list[ShardResult]:
    """Return the shards cut to the first ``images`` images of the split, to compare two methods on the same images."""
    kept = []
    for result in results:
        count = min(result.shard.count, images - result.shard.first)
        if count > 0:
            columns = {name: getattr(result, name)[:count] for name in PER_IMAGE_COLUMNS}
            shard = result.shard.model_copy(update={"count": count})
            kept.append(result.model_copy(update={**columns, "shard": shard}))
    return kept


def settings_text(method: Method, config: EvaluationConfig) -> str:
    """Return a method's settings in a few words: ``prior 100x5x8`` has temperatures, leapfrog steps and chains."""
    if method == "negative_elbo":
        return "1 sample"
    if method == "importance_sampling":
        return f"{config.importance_sampling.samples} samples"
    hais = config.hais
    return f"{hais.start} {hais.resolved_temperatures}x{hais.resolved_leapfrog_steps}x{hais.chains}"


def per_image_table(results: Sequence[ShardResult]) -> pd.DataFrame:
    """Return one row an image and method: method, split, image (its place), and the figures of `PER_IMAGE_COLUMNS`."""
    frames = []
    for result in results:
        shard = result.shard
        columns = {name: list(getattr(result, name)) for name in PER_IMAGE_COLUMNS}
        places = range(shard.first, shard.first + shard.count)
        frames.append(pd.DataFrame({"method": shard.method, "split": shard.split, "image": places, **columns}))
    return pd.concat(frames, ignore_index=True).sort_values(["split", "method", "image"], ignore_index=True)


def write_per_image(path: Path, results: Sequence[ShardResult]) -> None:
    """Write `per_image_table` as Parquet, atomically."""
    with replacing(path) as temporary:
        per_image_table(results).to_parquet(temporary, index=False)


def _in_order(results: Sequence[ShardResult]) -> list[ShardResult]:
    if len({(result.shard.method, result.shard.split) for result in results}) != 1:
        raise ValueError("a figure is made of shards of one method on one split")
    ordered = sorted(results, key=lambda result: result.shard.first)
    expected = 0
    for result in ordered:
        if result.shard.first != expected:
            raise ValueError(f"shards must cover a range without gap: image {expected} is missing or twice there")
        expected += result.shard.count
    return ordered


def _mean(values: Tensor) -> float:
    return float(values.mean())
