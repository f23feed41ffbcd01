"""Summarises scored shards as figures of a split and as a per-image table."""

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
from iafsweep.evaluation.shards import PER_IMAGE_COLUMNS, Shard, ShardResult, column, mean_acceptance
from iafsweep.records import Estimate, Method


def summarise(
    results: Sequence[ShardResult],
    config: EvaluationConfig,
    pilot: FrozenStepSize | None = None,
    dimensions: int | None = None,
    *,
    autoregressive: bool = False,
) -> Estimate:
    """Return the figure of a split from all its shards, in any order.

    Args:
        results: the shards of one method on one split, covering the same first images for each binarisation.
        config: the settings they were scored with.
        pilot: the pilot that found the step size; for HAIS only.
        dimensions: number of values per image, None for bits.
        autoregressive: whether the model's decoder is autoregressive.

    Raises:
        ValueError: the shards are of several methods or splits, or do not cover a range from 0 without gaps, or not
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
        dimensions=dimensions,
        autoregressive=autoregressive,
    )


def by_binarisation(results: Sequence[ShardResult]) -> dict[int, list[ShardResult]]:
    """Return the shards in order, grouped by binarisation seed; errors as in `summarise`."""
    kinds = {(result.shard.method, result.shard.split) for result in results}
    if len(kinds) != 1:
        raise ValueError(f"a figure needs shards of one method on one split, got {sorted(kinds)}")
    gathered: dict[int, list[ShardResult]] = defaultdict(list)
    for result in sorted(results, key=lambda result: (result.shard.binarisation_seed, result.shard.first)):
        gathered[result.shard.binarisation_seed].append(result)
    counts = {seed: _images(shards) for seed, shards in gathered.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"every binarisation must have the same number of images: got {counts} by seed")
    return dict(gathered)


def mean_over_binarisations(of_seed: dict[int, list[ShardResult]], name: str) -> Tensor:
    """Per-image mean of a figure over binarisations, [N]."""
    return torch.stack([column(shards, name) for shards in of_seed.values()]).mean(0)


def error_of_images(of_seed: dict[int, list[ShardResult]]) -> Tensor:
    """The estimator's standard error of each image's mean over binarisations, whose noise is independent, [N]."""
    errors = torch.stack([column(shards, "standard_error") for shards in of_seed.values()])
    return errors.square().sum(0).sqrt() / len(errors)


def seconds_of(results: Sequence[ShardResult], pilot: FrozenStepSize | None = None) -> float:
    """Return the total seconds of all shards and the pilot; NaN if those of a shard are unknown."""
    return math.fsum(result.seconds for result in results) + (0.0 if pilot is None else pilot.seconds)


def beside_hais(estimates: Sequence[Estimate], images: pd.DataFrame) -> list[Estimate]:
    """Return importance sampling on exactly the images of each HAIS figure, if it was done on more images.

    A figure is left out if rows of it are missing in ``images``.
    """
    found: dict[tuple[object, ...], Estimate] = {}
    known = {each.made_with for each in estimates}
    for hais in (each for each in estimates if each.method == "hais"):
        for sampled in estimates:
            seeds = sampled.binarisation_seeds
            if sampled.method != "importance_sampling" or sampled.images <= hais.images:
                continue
            if (sampled.split, seeds) != (hais.split, hais.binarisation_seeds):
                continue
            rows = rows_of(images, sampled)
            rows = rows[rows["image"] < hais.images]
            if len(rows) == hais.images * len(seeds):
                part = _of_rows(sampled, rows, hais.images)
                found[part.made_with] = part
    return [each for key, each in found.items() if key not in known]


def rows_of(images: pd.DataFrame, figure: Estimate) -> pd.DataFrame:
    """Return the rows of a `per_image_table` that belong to a figure."""
    is_its = images["binarisation_seed"].isin(figure.binarisation_seeds) & (images["image"] < figure.images)
    for name in ("method", "split", "settings", "seed"):
        is_its &= images[name] == getattr(figure, name)
    return images[is_its]


def _of_rows(whole: Estimate, rows: pd.DataFrame, images: int) -> Estimate:
    """Return a figure for some of another's images; its seconds are unknown."""
    share = whole.network_evaluations // len(whole.binarisation_seeds)
    results = [
        ShardResult(
            shard=Shard(
                method=whole.method,
                split=whole.split,
                binarisation_seed=seed,
                first=0,
                count=images,
                samples=whole.samples,
            ),
            **{name: tuple(part[name].tolist()) for name in PER_IMAGE_COLUMNS},
            acceptance_rate=None,
            network_evaluations=share,
            gradient_evaluations=0,
            seconds=math.nan,
        )
        for seed, part in rows.sort_values("image").groupby("binarisation_seed")
    ]
    config = EvaluationConfig(seed=whole.seed)
    return summarise(results, config, dimensions=whole.dimensions, autoregressive=whole.autoregressive)


def settings_text(method: Method, config: EvaluationConfig, samples: int) -> str:
    """Return a method's settings as short text: ``prior 100x5x8`` has temperatures, leapfrog steps and chains.

    Other fields of `HaisConfig` that affect the figure follow if they differ from their defaults.
    """
    if method != "hais":
        return "1 sample" if samples == 1 else f"{samples} samples"
    hais = config.hais.resolved()
    return f"{hais.start} {hais._replace(chains=samples).text}"


def per_image_table(results: Sequence[ShardResult], config: EvaluationConfig) -> pd.DataFrame:
    """Return a table with one row per image, method and binarisation.

    Columns: method, split, binarisation_seed, image (index in the split), samples, settings and seed as in `Estimate`,
    and the figures of `PER_IMAGE_COLUMNS`.
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
    """Concatenate tables of `per_image_table` and sort the rows by split, method, binarisation and image."""
    order = ["split", "method", "binarisation_seed", "image"]
    return pd.concat(tables, ignore_index=True).sort_values(order, ignore_index=True, kind="stable")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, atomically."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def _images(ordered: Sequence[ShardResult]) -> int:
    expected = 0
    for result in ordered:
        if result.shard.first != expected:
            raise ValueError(
                f"shards must cover a range without gaps or overlaps: expected one that begins at image {expected}, "
                f"got {result.shard.first}"
            )
        expected += result.shard.count
    return expected


def _mean_of_known(values: Tensor) -> float | None:
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else None
