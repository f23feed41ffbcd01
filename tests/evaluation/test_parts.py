import math

import pytest
import torch

from iafsweep.estimators.log_weights import LogWeightStatistics
from iafsweep.evaluation.scoring import halves
from iafsweep.evaluation.shards import Shard, merge_parts, shard_result
from iafsweep.seeds import generator


def part(log_weights, first_sample=0):
    shard = Shard(
        method="importance_sampling",
        split="test",
        binarisation_seed=0,
        first=0,
        count=log_weights.shape[1],
        samples=len(log_weights),
        first_sample=first_sample,
    )
    return shard_result(
        shard,
        halves([log_weights], len(log_weights)),
        acceptance_rate=None,
        network_evaluations=len(log_weights),
        gradient_evaluations=0,
        seconds=1.5,
    )


WEIGHTS = 2 * torch.randn(200, 4, generator=generator("cpu", 1), dtype=torch.float64)


@pytest.mark.parametrize("border", [50, 150])
def test_parts_together_are_the_whole(border):
    merged = merge_parts(part(WEIGHTS[:border]), part(WEIGHTS[border:], border))
    whole = part(WEIGHTS)
    for name in ("log_likelihood", "mean_log_weight", "effective_sample_size", "log_weight_variance"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), abs=1e-9), name
    assert merged.standard_error == pytest.approx(whole.standard_error, rel=0.2)
    assert (merged.shard, merged.network_evaluations, merged.seconds) == (whole.shard, 200, 3.0)
    larger = part(WEIGHTS[border:]) if border == 50 else part(WEIGHTS[:border])
    assert merged.pareto_k == larger.pareto_k


def test_halves_of_equal_parts_are_halves_of_the_whole():
    merged, whole = merge_parts(part(WEIGHTS[:100]), part(WEIGHTS[100:], 100)), part(WEIGHTS)
    assert merged.half_log_likelihood == pytest.approx(whole.half_log_likelihood, abs=1e-9)
    expected = [LogWeightStatistics.of(each).log_likelihood for each in (WEIGHTS[:100], WEIGHTS[100:])]
    assert whole.half_log_likelihood == pytest.approx(torch.stack(expected).mean(0).tolist(), abs=1e-12)
    assert all(half < full for half, full in zip(whole.half_log_likelihood, whole.log_likelihood, strict=True))


def test_weights_of_zero_stay_untrusted():
    zeros = torch.full((50, 4), -torch.inf, dtype=torch.float64)
    some = WEIGHTS[:50].clone()
    some[3, 0] = torch.nan
    merged = merge_parts(part(some), part(WEIGHTS[50:100], 50))
    assert merged.log_weight_variance[0] == math.inf
    assert merged.untrusted[0]
    assert math.isfinite(merged.log_likelihood[0])
    nothing = merge_parts(part(zeros), part(zeros, 50))
    assert nothing.log_likelihood == (-math.inf,) * 4
    assert nothing.effective_sample_size == (0.0,) * 4
    assert all(nothing.untrusted)


def test_a_single_sample_has_no_half():
    assert all(math.isnan(value) for value in part(WEIGHTS[:1]).half_log_likelihood)


@pytest.mark.parametrize("size", [7, 50, 64])
def test_halves_may_cut_a_block(size):
    found = halves(WEIGHTS.split(size), 200)
    for half, expected in zip(found, (WEIGHTS[:100], WEIGHTS[100:]), strict=True):
        assert half.count == 100
        assert torch.allclose(half.log_likelihood, LogWeightStatistics.of(expected).log_likelihood)


def test_parts_must_belong_together():
    with pytest.raises(ValueError, match="samples must be consecutive"):
        merge_parts(part(WEIGHTS[:50]), part(WEIGHTS[50:], 100))
    with pytest.raises(ValueError, match="parts must cover the same images"):
        merge_parts(part(WEIGHTS[:50]), part(WEIGHTS[50:, :2], 50))
