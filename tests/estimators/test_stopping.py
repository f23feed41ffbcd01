import math

import pytest

from iafsweep.estimators import LogWeightStatistics, Progress, estimator_error, importance_sampling, search
from tests.oracles import LinearGaussian, seeded


def progress(effort, bias, standard_error):
    """An estimate whose bias falls as 1 / effort."""
    return Progress(effort, -bias / effort, -2 * bias / effort, standard_error)


def carry(work, *, target, first_effort, may_spend):
    """Carry one search through: `work` brings all effort up to a number and reports."""
    steps = search(target, first_effort, may_spend)
    effort = next(steps)
    while True:
        try:
            effort = steps.send(work(effort))
        except StopIteration as end:
            return end.value


def test_effort_doubles_until_both_errors_are_small():
    efforts = []

    def work(effort):
        efforts.append(effort)
        return progress(effort, bias=1.0, standard_error=0.001)

    result = carry(work, target=0.02, first_effort=10, may_spend=lambda effort: True)
    assert efforts == [10, 20, 40, 80]
    assert result.stopped_by == "target"
    assert result.last == progress(80, 1.0, 0.001)
    assert [each.effort for each in result.rounds] == efforts


def test_a_small_standard_error_alone_is_not_enough():
    result = carry(
        lambda effort: progress(effort, bias=1000.0, standard_error=1e-6),
        target=0.02,
        first_effort=10,
        may_spend=lambda effort: effort <= 1000,
    )
    assert result.stopped_by == "budget"
    assert result.last.effort == 640
    assert not result.last.is_within(0.02)


def test_a_small_difference_alone_is_not_enough():
    result = carry(
        lambda effort: progress(effort, bias=0.0, standard_error=1 / effort**0.5),
        target=0.2,
        first_effort=10,
        may_spend=lambda effort: True,
    )
    assert result.last.effort == 40


def test_the_first_round_is_always_made():
    result = carry(lambda effort: progress(effort, 1.0, 1.0), target=0.1, first_effort=5, may_spend=lambda _: False)
    assert result.last.effort == 5
    assert result.stopped_by == "budget"


@pytest.mark.parametrize("estimate", [-math.inf, math.nan])
def test_infinite_estimates_are_never_good_enough(estimate):
    assert not Progress(1, estimate, estimate, 0.0).is_within(10.0)
    assert not Progress(1, 0.0, 0.0, math.nan).is_within(10.0)


def test_importance_sampling_goes_on_until_it_is_good():
    model = LinearGaussian.simulate(images=10)
    generator = seeded(1)
    gathered: list[LogWeightStatistics] = []

    def work(effort):
        half = effort // 2
        if not gathered:
            gathered.append(importance_sampling(model.flow_bridge(), half, generator))
        halves = gathered[0], importance_sampling(model.flow_bridge(), half, generator)
        gathered[0] = halves[0].merge(halves[1])
        return Progress(
            effort=effort,
            estimate=float(gathered[0].log_likelihood.mean()),
            half_estimate=float(sum(each.log_likelihood for each in halves).mean() / 2),
            standard_error=estimator_error(gathered[0].standard_error),
        )

    result = carry(work, target=0.02, first_effort=20, may_spend=lambda effort: effort <= 100_000)
    assert result.stopped_by == "target"
    assert gathered[0].count == result.last.effort > 20
    assert result.last.estimate == pytest.approx(model.log_evidence.mean().item(), abs=0.06)


def test_errors():
    with pytest.raises(ValueError, match="target must be positive and finite: got 0"):
        next(search(0, 1, lambda _: True))
    with pytest.raises(ValueError, match="first_effort must be at least 1: got 0"):
        next(search(1, 0, lambda _: True))
