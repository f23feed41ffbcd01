"""From scored shards to figures of a split, and to a table of images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from iafsweep.atomic import replacing
from iafsweep.config import EvaluationConfig
from iafsweep.estimators.standard_errors import estimator_error, mean_over_images, untrusted_share
from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.shards import PER_IMAGE_COLUMNS, ShardResult, column, mean_acceptance
from iafsweep.records import Estimate, Method, UntilErrorReport


def summarise(
    results: Sequence[ShardResult],
    config: EvaluationConfig,
    pilot: FrozenStepSize | None = None,
    until_error: UntilErrorReport | None = None,
) -> Estimate:
    """Return the figure of a split from all its shards, whatever order they come in.

    Args:
        results: the shards of one method on one split, for each binarisation a range from the first image on.
        config: the settings they were scored with.
        pilot: what found the step size; for HAIS only.
        until_error: how the search that ended with these shards went.

    Raises:
        ValueError: the shards are of several methods or splits, or do not cover a range from 0 without a gap, or not
            the same range for each binarisation.
    """
    of_seed = by_binarisation(results)
    first = next(iter(of_seed.values()))[0]
    method = first.shard.method
    nll = mean_over_images(-mean_over_binarisations(of_seed, "log_likelihood"))
    is_bound = method == "negative_elbo"
    everything = [result for shards in of_seed.values() for result in shards]
    half_nll = float(-mean_over_binarisations(of_seed, "half_log_likelihood").mean())
    seconds = seconds_of(results, pilot)
    return Estimate(
        method=method,
        split=first.shard.split,
        images=nll.images,
        nll=nll.value,
        standard_error=nll.standard_error,
        estimator_error=None if is_bound else estimator_error(error_of_images(of_seed)),
        half_nll=None if is_bound or math.isnan(half_nll) else half_nll,
        effective_sample_size=None if is_bound else float(column(everything, "effective_sample_size").mean()),
        log_weight_variance=None if is_bound else float(column(everything, "log_weight_variance").mean()),
        pareto_k=_mean_of_known(column(everything, "pareto_k")),
        untrusted_share=None if is_bound else untrusted_share(mean_over_binarisations(of_seed, "untrusted") > 0),
        settings=settings_text(method, config, first.shard.samples),
        samples=first.shard.samples,
        seed=config.seed,
        binarisation_seeds=tuple(of_seed),
        acceptance_rate=mean_acceptance((each.acceptance_rate, each.shard.count) for each in everything),
        step_size=None if pilot is None else pilot.step_size,
        network_evaluations=len(of_seed) * first.network_evaluations,
        gradient_evaluations=len(of_seed) * first.gradient_evaluations,
        seconds=None if math.isnan(seconds) else seconds,
        until_error=until_error,
    )


def by_binarisation(results: Sequence[ShardResult]) -> dict[int, list[ShardResult]]:
    """Return the shards in order, by seed of their binarisation; errors as in `summarise`."""
    if len({(result.shard.method, result.shard.split) for result in results}) != 1:
        raise ValueError("a figure is made of shards of one method on one split")
    gathered: dict[int, list[ShardResult]] = defaultdict(list)
    for result in sorted(results, key=lambda result: (result.shard.binarisation_seed, result.shard.first)):
        gathered[result.shard.binarisation_seed].append(result)
    counts = {seed: _images(shards) for seed, shards in gathered.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"every binarisation must have as many images: got {counts}")
    return dict(gathered)


def mean_over_binarisations(of_seed: dict[int, list[ShardResult]], name: str) -> Tensor:
    """One figure of every image, [N]: the mean over binarisations."""
    return torch.stack([column(shards, name) for shards in of_seed.values()]).mean(0)


def error_of_images(of_seed: dict[int, list[ShardResult]]) -> Tensor:
    """The estimator's standard error of every image's mean over binarisations, [N]; their noise is independent."""
    errors = torch.stack([column(shards, "standard_error") for shards in of_seed.values()])
    return errors.square().sum(0).sqrt() / len(errors)


def seconds_of(results: Sequence[ShardResult], pilot: FrozenStepSize | None = None) -> float:
    """Return the seconds of all shards and the pilot; NaN if those of a shard are not known."""
    return math.fsum(result.seconds for result in results) + (0.0 if pilot is None else pilot.seconds)


def first_images(results: Sequence[ShardResult], images: int) -> list[ShardResult]:
    """Return the shards cut to the first ``images`` images of the split, to compare two methods on the same images.

    The seconds of a shard that is cut through are NaN: nobody measured those of a part of its images.
    """
    kept = []
    for result in results:
        count = min(result.shard.count, images - result.shard.first)
        if count > 0:
            columns = {name: getattr(result, name)[:count] for name in PER_IMAGE_COLUMNS}
            shard = result.shard.model_copy(update={"count": count})
            seconds = result.seconds if count == result.shard.count else math.nan
            kept.append(result.model_copy(update={**columns, "shard": shard, "seconds": seconds}))
    return kept


def settings_text(method: Method, config: EvaluationConfig, samples: int) -> str:
    """Return a method's settings in a few words: ``prior 100x5x8`` has temperatures, leapfrog steps and chains."""
    if method != "hais":
        return "1 sample" if samples == 1 else f"{samples} samples"
    hais = config.hais.resolved()
    return f"{hais.start} {hais._replace(chains=samples).text}"


def per_image_table(results: Sequence[ShardResult], config: EvaluationConfig) -> pd.DataFrame:
    """Return one row an image, method and binarisation.

    Columns: method, split, binarisation_seed, image (its place), samples, settings and seed as `Estimate` has them, and
    the figures of `PER_IMAGE_COLUMNS`.

    Args:
        results: scored shards.
        config: the settings they were scored with.
    """
    frames = []
    for result in results:
        shard = result.shard
        columns = {name: list(getattr(result, name)) for name in PER_IMAGE_COLUMNS}
        places = range(shard.first, shard.first + shard.count)
        keys = shard.model_dump(include={"method", "split", "binarisation_seed", "samples"})
        keys |= {"settings": settings_text(shard.method, config, shard.samples), "seed": config.seed}
        frames.append(pd.DataFrame({**keys, "image": places, **columns}))
    return in_order(frames)


def in_order(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of `per_image_table` as one, its rows in their order."""
    order = ["split", "method", "binarisation_seed", "image"]
    return pd.concat(tables, ignore_index=True).sort_values(order, ignore_index=True)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, atomically."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _images(ordered: Sequence[ShardResult]) -> int:
    expected = 0
    for result in ordered:
        if result.shard.first != expected:
            raise ValueError(f"shards must cover a range without gap: image {expected} is missing or twice there")
        expected += result.shard.count
    return expected


def _mean_of_known(values: Tensor) -> float | None:
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else None
