import pytest
import torch

from iafsweep.estimators import linear_schedule, sigmoid_schedule
from iafsweep.estimators.schedules import check_schedule


@pytest.mark.parametrize("schedule", [linear_schedule, sigmoid_schedule])
@pytest.mark.parametrize("increments", [1, 2, 5, 499, 2000])
def test_starts_at_0_ends_at_1_increases(schedule, increments):
    temperatures = schedule(increments)
    assert temperatures.shape == (increments + 1,)
    assert temperatures.dtype == torch.float64
    assert temperatures[0] == 0
    assert temperatures[-1] == 1
    assert (temperatures.diff() > 0).all()
    assert torch.allclose(temperatures, 1 - temperatures.flip(0), atol=1e-12)
    check_schedule(temperatures)
    check_schedule(temperatures.flip(0))


def test_sigmoid_is_the_rescaled_logistic_from_minus_4_to_4():
    temperatures = sigmoid_schedule(8)
    low, high = 1 / (1 + torch.exp(torch.tensor([4.0, -4.0], dtype=torch.float64)))
    expected = (1 / (1 + torch.exp(torch.tensor(3.0, dtype=torch.float64))) - low) / (high - low)
    assert temperatures[1].item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0], r"at least 2 values: got shape \(1,\)"),
        ([0.0, 0.5], "from 0 to 1 or from 1 to 0: got 0.0 to 0.5"),
        ([0.1, 1.0], "got 0.1 to 1.0"),
        ([0.0, 0.5, 0.5, 1.0], "strictly monotone: got steps as small as 0"),
        ([1.0, 0.3, 0.4, 0.0], "strictly monotone: got steps as small as -0.1"),
        ([0.0, float("nan"), 1.0], "strictly monotone"),
    ],
)
def test_other_schedules_are_errors(values, message):
    with pytest.raises(ValueError, match=message):
        check_schedule(torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize("schedule", [linear_schedule, sigmoid_schedule])
def test_no_increments_is_an_error(schedule):
    with pytest.raises(ValueError, match="T must be at least 1: got 0"):
        schedule(0)


def test_sigmoid_needs_a_radius():
    with pytest.raises(ValueError, match="radius must be positive: got 0"):
        sigmoid_schedule(3, radius=0)
