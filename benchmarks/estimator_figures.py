"""From log-weights to figures: gaps to the reference, costs, comparisons at equal gap.

The reference is the log-mean-exp of all chains of the long run, image by image. A row of the table splits the weights
of a setting into disjoint groups. The estimate from each group is one run, and the mean over groups is the figure. Its
error covers Monte Carlo noise alone: how much other runs on the same images would differ.

Shapes: W weights, G groups, R runs, B images; nats per image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.estimator_runs import Annealing, Bench, Sampling, Sandwiched, pieces
from iafsweep.estimators import LogWeightStatistics, estimator_error, mean_over_images

Figures = dict[str, Any]
Results = dict[str, Any]
SAMPLES = (1, 10, 100, 1000, 5000, 10_000, 50_000)
FEWEST_RUNS = 4
CHAINS = (1, 2, 4, 8, 10, 12, 16, 20)


@dataclass(frozen=True)
class Pool:
    """All weights of one setting.

    Attributes:
        label: the setting, without the number of weights.
        log_weights: [W, B].
        gradients: gradient evaluations per weight.
        cpu_seconds: CPU seconds per weight of one image.
        acceptance_rate: acceptance rate of HMC moves; None without moves.
        step_size: frozen step size; None without moves.
        sizes: group sizes of interest.
    """

    label: str
    log_weights: Tensor
    gradients: int
    cpu_seconds: float
    acceptance_rate: float | None
    step_size: float | None
    sizes: tuple[int, ...]


def collect(
    bench: Bench,
    reference: Annealing,
    sampling: Sampling,
    annealing: Sequence[Annealing],
    sandwiches: Sequence[Sandwiched],
    seconds: dict[str, float],
) -> Results:
    """Return every figure of the page except those of the model.

    Args:
        bench: the bench, with all pieces in its cache.
        reference: the long run.
        sampling: importance sampling.
        annealing: the runs to compare.
        sandwiches: sandwich bounds on simulated images.
        seconds: CPU seconds of one network evaluation, by kind.
    """
    truth = _pool(bench, reference, seconds)
    log_likelihood = LogWeightStatistics.of(truth.log_weights).log_likelihood
    every: list[Sampling | Annealing] = [sampling, *annealing]
    pools = [_pool(bench, each, seconds) for each in every]
    rows = [row(pool, size, log_likelihood) for pool in pools for size in pool.sizes]
    return {
        "images": {"first": bench.first, "count": len(log_likelihood)},
        "pilots": _pilots(bench),
        "seconds": seconds,
        "reference": _reference_figures(truth, log_likelihood, reference),
        "rows": rows,
        "equal_gap": equal_gap(pools, annealing, log_likelihood),
        "quarters": quarters(pools, log_likelihood),
        "sandwiches": [_sandwich_figures(bench, each) for each in sandwiches],
    }


def row(pool: Pool, size: int, log_likelihood: Tensor, images: int | None = None) -> Figures:
    """Return the figures of runs of `size` weights.

    Args:
        pool: the weights.
        size: weights per run.
        log_likelihood: log p(x) of the reference, for at least as many images as the pool has, [B].
        images: number of images to use, from the first; None: all.
    """
    log_weights = pool.log_weights[:, :images]
    images = log_weights.shape[1]
    groups = log_weights[: len(log_weights) // size * size].unflatten(0, (-1, size))
    estimates = groups.logsumexp(1) - math.log(size)
    first = LogWeightStatistics.of(groups[0]).summary()
    # The noise is independent across images, so its variance over runs is summed over images.
    one_run = estimator_error(estimates.std(0) if len(estimates) >= FEWEST_RUNS else first.standard_error)
    return {
        "label": pool.label,
        "weights": size,
        "images": images,
        "runs": len(estimates),
        "gradients": size * pool.gradients,
        "cpu_seconds": size * pool.cpu_seconds,
        "nll": -float(estimates.mean()),
        "nll_error": mean_over_images(estimates.mean(0)).standard_error,
        "one_run_error": one_run,
        "gap": float((log_likelihood[:images] - estimates).mean()),
        "gap_error": one_run / math.sqrt(len(estimates)),
        "gap_of_mean_log_weight": float((log_likelihood[:images] - log_weights.mean(0)).mean()),
        "effective_sample_size": float(first.effective_sample_size.mean()),
        "log_weight_variance": float(log_weights.var(0).mean()),
        "untrusted": float(first.untrusted.double().mean()),
        "acceptance_rate": pool.acceptance_rate,
        "step_size": pool.step_size,
    }


def equal_gap(pools: Sequence[Pool], annealing: Sequence[Annealing], log_likelihood: Tensor) -> list[Figures]:
    """Return, for each other method, the cheapest posterior-start run whose gap is no larger.

    The others are HAIS at its largest effort, and importance sampling at several sizes. Both runs use the images that
    the other method was run on. Cost is gradients for HAIS and CPU time for importance sampling. Only measured runs
    count; none is interpolated.
    """
    posterior = [pool for pool, each in zip(pools[1:], annealing, strict=True) if each.start == "posterior"]
    found = []
    for pool in pools:
        if pool in posterior:
            continue
        cost = "gradients" if pool.gradients else "cpu_seconds"
        for size in pool.sizes[3:] if pool is pools[0] else pool.sizes[-1:]:
            other = row(pool, size, log_likelihood)
            ours = [row(each, k, log_likelihood, other["images"]) for each in posterior for k in each.sizes]
            enough = [each for each in ours if each["gap"] <= other["gap"]]
            if enough:
                cheapest = min(enough, key=lambda each: each[cost])
                found.append({"other": other, "posterior": cheapest, "cost": cost})
    return found


def quarters(pools: Sequence[Pool], log_likelihood: Tensor) -> list[Figures]:
    """Return gaps by quarter of the images, ordered by the gap between log p(x) and the ELBO (mean of many samples)."""
    sampling = pools[0]
    order = (log_likelihood - sampling.log_weights.mean(0)).argsort()
    found = []
    for pool in pools:
        if pool.log_weights.shape[1] < len(log_likelihood):
            continue
        for size in pool.sizes:
            groups = pool.log_weights[: len(pool.log_weights) // size * size].unflatten(0, (-1, size))
            gaps = log_likelihood - (groups.logsumexp(1) - math.log(size)).mean(0)
            parts = [float(part.mean()) for part in gaps[order].tensor_split(4)]
            found.append({"label": pool.label, "weights": size, "gaps": parts})
    return found


def _pool(bench: Bench, what: Sampling | Annealing, seconds: dict[str, float]) -> Pool:
    runs = pieces(bench, what)
    log_weights = torch.cat([run.log_weights for run in runs])
    if isinstance(what, Sampling):
        sizes = tuple(size for size in SAMPLES if size <= len(log_weights))
        return Pool("IS", log_weights, 0, seconds["sampling"], None, None, sizes)
    return Pool(
        label=what.setting,
        log_weights=log_weights,
        gradients=what.gradients,
        cpu_seconds=what.gradients * seconds[what.start],
        acceptance_rate=sum(run.acceptance_rate for run in runs) / len(runs),
        step_size=bench.step_size(what.start, what.leapfrog_steps).step_size,
        sizes=tuple(size for size in CHAINS if size <= what.chains),
    )


def _reference_figures(truth: Pool, log_likelihood: Tensor, reference: Annealing) -> Figures:
    runs = truth.log_weights.unflatten(0, (reference.runs, reference.chains))
    means = (runs.logsumexp(1) - math.log(reference.chains)).mean(1)
    nll = mean_over_images(-log_likelihood)
    return {
        "label": truth.label,
        "chains": len(truth.log_weights),
        "gradients": len(truth.log_weights) * truth.gradients,
        "nll": nll.value,
        "nll_error": nll.standard_error,
        "jackknife_error": estimator_error(LogWeightStatistics.of(truth.log_weights).standard_error),
        "repeats_error": float(means.std()) / math.sqrt(len(means)),
        # The log of the mean of W log-normal weights is too low by (relative variance of a weight) / (2 W).
        "expected_bias": float(truth.log_weights.var(0).exp().sub(1).mean()) / (2 * len(truth.log_weights)),
        "acceptance_rate": truth.acceptance_rate,
        "step_size": truth.step_size,
    }


def _pilots(bench: Bench) -> list[Figures]:
    return [
        {
            "start": pilot.start,
            "settings": pilot.resolved().text,
            "images": pilot.pilot_images,
            "passes": pilot.pilot_passes,
            **bench.step_size(pilot.start, pilot.resolved().leapfrog_steps).model_dump(),
        }
        for pilot in bench.pilots
    ]


def _sandwich_figures(bench: Bench, what: Sandwiched) -> Figures:
    (piece,) = pieces(bench, what)
    forward, reverse = (LogWeightStatistics.of(weights).log_likelihood for weights in piece.log_weights)
    lower, upper = mean_over_images(forward), mean_over_images(-reverse)
    gap = mean_over_images(-reverse - forward)
    return {
        "label": what.setting,
        "weights": what.chains,
        "images": what.images,
        "gradients": what.chains * what.gradients,
        "lower": lower.value,
        "upper": upper.value,
        "gap": gap.value,
        "gap_error": gap.standard_error,
    }
