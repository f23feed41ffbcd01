import math

import pytest
import torch

from iafsweep.evaluation import LogWeightStatistics, Progress, importance_sampling, until_error
from tests.oracles import LinearGaussian, normal, seeded


def progress(effort, bias, standard_error):
    """An estimate whose bias falls as 1 / effort."""
    return Progress(effort, -bias / effort, -2 * bias / effort, standard_error)


def test_effort_doubles_until_both_errors_are_small():
    efforts = []

    def work(effort):
        efforts.append(effort)
        return progress(effort, bias=1.0, standard_error=0.001)

    result = until_error(work, target=0.02, first_effort=10, may_spend=lambda effort: True)
    assert efforts == [10, 20, 40, 80]
    assert result.stopped_by == "target"
    assert result.last == progress(80, 1.0, 0.001)
    assert [each.effort for each in result.rounds] == efforts


def test_a_small_standard_error_alone_is_not_enough():
    result = until_error(
        lambda effort: progress(effort, bias=1000.0, standard_error=1e-6),
        target=0.02,
        first_effort=10,
        may_spend=lambda effort: effort <= 1000,
    )
    assert result.stopped_by == "budget"
    assert result.last.effort == 640
    assert not result.last.is_within(0.02)


def test_a_small_difference_alone_is_not_enough():
    result = until_error(
        lambda effort: progress(effort, bias=0.0, standard_error=1 / effort**0.5),
        target=0.2,
        first_effort=10,
        may_spend=lambda effort: True,
    )
    assert result.last.effort == 40


def test_the_first_round_is_always_made():
    result = until_error(
        lambda effort: progress(effort, 1.0, 1.0), target=0.1, first_effort=5, may_spend=lambda _: False
    )
    assert result.last.effort == 5
    assert result.stopped_by == "budget"


@pytest.mark.parametrize("estimate", [-math.inf, math.nan])
def test_infinite_estimates_are_never_good_enough(estimate):
    assert not Progress(1, estimate, estimate, 0.0).is_within(10.0)
    assert not Progress(1, 0.0, 0.0, math.nan).is_within(10.0)


def test_halves_of_samples():
    first, second = (LogWeightStatistics.of(normal(50, 4, seed=seed)) for seed in (1, 2))
    found = Progress.from_halves(100, first, second)
    both = torch.cat([normal(50, 4, seed=1), normal(50, 4, seed=2)])
    assert found.estimate == pytest.approx((both.logsumexp(0) - math.log(100)).mean().item())
    assert found.half_estimate == pytest.approx((first.log_likelihood + second.log_likelihood).mean().item() / 2)
    assert found.half_estimate < found.estimate
    assert found.standard_error == pytest.approx(LogWeightStatistics.of(both).standard_error.square().sum().sqrt() / 4)


def test_importance_sampling_goes_on_until_it_is_good():
    model = LinearGaussian.simulate(images=10)
    generator = seeded(1)
    gathered: list[LogWeightStatistics] = []

    def work(effort):
        half = effort // 2
        if not gathered:
            gathered.append(importance_sampling(model.flow_bridge(), half, generator))
        second = importance_sampling(model.flow_bridge(), half, generator)
        found = Progress.from_halves(effort, gathered[0], second)
        gathered[0] = gathered[0].merge(second)
        return found

    result = until_error(work, target=0.02, first_effort=20, may_spend=lambda effort: effort <= 100_000)
    assert result.stopped_by == "target"
    assert gathered[0].count == result.last.effort > 20
    assert result.last.estimate == pytest.approx(model.log_evidence.mean().item(), abs=0.06)


def test_errors():
    with pytest.raises(ValueError, match="target must be positive and finite: got 0"):
        until_error(lambda effort: progress(effort, 1, 1), target=0, first_effort=1, may_spend=lambda _: True)
    with pytest.raises(ValueError, match="first_effort must be at least 1: got 0"):
        until_error(lambda effort: progress(effort, 1, 1), target=1, first_effort=0, may_spend=lambda _: True)
    with pytest.raises(ValueError, match="as many weights each: got 3 and 2"):
        Progress.from_halves(5, LogWeightStatistics.of(torch.zeros(3, 1)), LogWeightStatistics.of(torch.zeros(2, 1)))
