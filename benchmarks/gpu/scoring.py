"""Scoring in float32: rows a second of both estimators, what IS of all test images would take, and as many as fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.count import count
from benchmarks.gpu.context import Context, run_step
from benchmarks.gpu.images import data_config, root
from benchmarks.score import IMAGES, WorkOf, model_and_images, slopes_of, weights_of
from benchmarks.timing import stopwatch
from benchmarks.train import MODELS, SHAPE
from iafsweep.config import EvaluationConfig, HaisConfig, ImageFormat, RunConfig
from iafsweep.data import load_test_images
from iafsweep.evaluation.scoring import score_shard
from iafsweep.evaluation.shards import Shard, ShardResult, plan_shards
from iafsweep.models import VAE, build_model, folded
from iafsweep.models.precision import full_precision
from iafsweep.records import Method
from iafsweep.training import resolve_device

ALL_IMAGES, ALL_SAMPLES = 10_000, 1000
HAIS_IMAGES = 1000
CALLS = 3


def main(context: Context) -> None:
    """Time networks alone, then shards as they are scored."""
    sizes, device = context.sizes, resolve_device(context.device)
    config = MODELS[sizes.model]
    counted = count(build_model(config, ImageFormat(SHAPE), seed=0)).forward
    flop = counted["flow"] + counted["decoder"]
    context.record(flop_a_row=flop, peak=context.earlier.get("machine", {}).get("products_float32"))
    plain, x = model_and_images(config, device)
    model = folded(plain)
    for estimator, rows_at_a_time, work_of in (
        ("IS", sizes.sampled_rows, weights_of),
        ("HAIS", sizes.annealed_rows, slopes_of),
    ):
        for rows in rows_at_a_time:
            rate = _rate(model, x, rows, work_of)
            context.append("networks", {"estimator": estimator, "rows_at_a_time": rows, "rows_a_second": rate})
    images = load_test_images(data_config(context), root()).to(device)
    _as_scored(context, model, images)


def _rate(model: VAE, x: Tensor, rows: int, work_of: WorkOf) -> float:
    with full_precision():
        measure = stopwatch(work_of(model, x, rows))
        measure()
        return rows // IMAGES * IMAGES / median(measure() for _ in range(CALLS))


def _as_scored(context: Context, model: VAE, images: Tensor) -> None:
    """Score shards: their noise is drawn on the CPU, which is in these figures and not in those above."""
    sizes = context.sizes
    hais = HaisConfig(enabled=True, start="posterior", temperatures=sizes.temperatures)
    evaluation = EvaluationConfig(hais=hais)
    ways: dict[Method, int] = {"importance_sampling": sizes.samples, "hais": hais.resolved().chains}
    shards = [
        plan_shards(method, "test", min(ALL_IMAGES, len(images)), samples, 0, size=sizes.shard_images)[: sizes.shards]
        for method, samples in ways.items()
    ]

    def score(shard: Shard) -> ShardResult:
        part = images[shard.first : shard.first + shard.count]
        return score_shard(
            model, part, shard, RunConfig(evaluation=evaluation), 0.1 if shard.method == "hais" else None
        )

    score(shards[0][0].model_copy(update={"samples": 50}))  # to warm up
    annealed = score(shards[1][0])
    gradients = annealed.gradient_evaluations * annealed.shard.count
    whole = HaisConfig(start="posterior").resolved()
    evaluations = whole.chains * (1 + (whole.temperatures - 1) * whole.leapfrog_steps)
    context.record(
        hais_rows_a_second=gradients / annealed.seconds,
        hais_1000_images=HAIS_IMAGES * evaluations * annealed.seconds / gradients,
        hais_peak_memory=torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None,
    )
    done = score_while(context, shards[0], score, lambda: context.seconds_left)
    rows = sum(each.shard.count * each.shard.samples for each in done)
    seconds = sum(each.seconds for each in done)
    context.record(
        is_rows_a_second=rows / seconds,
        is_images=sum(each.shard.count for each in done),
        is_samples=sizes.samples,
        is_seconds=seconds,
        is_all=ALL_IMAGES * ALL_SAMPLES * seconds / rows,
    )


def score_while(
    context: Context, shards: list[Shard], score: Callable[[Shard], ShardResult], left: Callable[[], float]
) -> list[ShardResult]:
    """Score shards, one at least, while there is time for one more; how far it is is recorded after each."""
    done: list[ShardResult] = []
    longest = 0.0
    for shard in shards:
        if done and left() < 1.2 * longest:
            break
        started = time.perf_counter()
        done.append(score(shard))
        longest = max(longest, time.perf_counter() - started)
        context.record(scored={"shards": len(done), "of": len(shards), "seconds": sum(each.seconds for each in done)})
    return done


if __name__ == "__main__":
    run_step(main)
