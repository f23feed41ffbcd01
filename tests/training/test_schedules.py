import pytest

from iafsweep.config import TrainingConfig
from iafsweep.training.schedules import kl_weight, learning_rate


def test_the_reference_schedule():
    recipe = TrainingConfig()
    assert [kl_weight(recipe, epoch) for epoch in (0, 1, 100, 199, 200, 2499)] == [0, 1 / 200, 0.5, 199 / 200, 1, 1]
    rates = [learning_rate(recipe, epoch) for epoch in (0, 799, 800, 1599, 1600, 2499)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 1.25e-4])


def test_no_warm_up_is_full_weight_at_once():
    assert kl_weight(TrainingConfig(kl_warmup_epochs=0), 0) == 1
