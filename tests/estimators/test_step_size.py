import math

import pytest
import torch

from iafsweep.estimators import (
    PilotSettings,
    annealed_importance_sampling,
    linear_schedule,
    sigmoid_schedule,
    tune_step_size,
)
from tests.oracles import LinearGaussian, UnequalMixture, seeded

MODEL = LinearGaussian.simulate(images=5, latent=4, pixels=6, noise_std=0.5)
MIXTURE = UnequalMixture(torch.zeros(5, dtype=torch.float64))
BRIDGES = {
    "prior": MODEL.prior_bridge(),
    "base": MODEL.base_bridge(),
    "flow": MODEL.flow_bridge(),
    "mixture": MIXTURE.bridge(),
}


def tune(bridge, target, increments, *, seed=1, leapfrog_steps=4, schedule=linear_schedule, chains=32, **settings):
    return tune_step_size(
        bridge,
        chains,
        schedule(increments),
        PilotSettings(target_acceptance=target, **({"maximum_step_size": 5.0} | settings)),
        leapfrog_steps=leapfrog_steps,
        generator=seeded(seed),
    )


@pytest.mark.parametrize("first", [0.01, 1.0])
@pytest.mark.parametrize("target", [0.65, 0.9])
@pytest.mark.parametrize("name", BRIDGES)
def test_it_comes_to_the_target_acceptance(name, target, first):
    pilot = tune(BRIDGES[name], target, 20, initial_step_size=first)
    fresh = annealed_importance_sampling(
        BRIDGES[name], 64, linear_schedule(20), step_size=pilot.step_size, leapfrog_steps=4, generator=seeded(2)
    )
    assert pilot.moves == 57
    assert pilot.gradient_evaluations == 3 + 57 * 4
    assert pilot.acceptance_rate == pytest.approx(target, abs=0.04)
    assert fresh.mean_acceptance_rate == pytest.approx(target, abs=0.04)


def test_a_long_schedule_from_the_prior():
    pilot = tune(BRIDGES["prior"], 0.65, 100, schedule=sigmoid_schedule, leapfrog_steps=10, initial_step_size=0.001)
    assert pilot.acceptance_rate == pytest.approx(0.65, abs=0.05)


def test_starts_hardly_matter():
    found = [math.log(tune(BRIDGES["flow"], 0.9, 20, initial_step_size=first).step_size) for first in (0.001, 0.1, 2.0)]
    assert max(found) - min(found) < 0.15


def test_the_range_is_kept():
    assert tune(BRIDGES["flow"], 0.9, 20, maximum_step_size=0.15).step_size == pytest.approx(0.15, rel=0.01)
    assert tune(BRIDGES["flow"], 0.9, 20, initial_step_size=3.0, minimum_step_size=3.0).step_size == pytest.approx(3.0)


def test_one_pass_and_one_move_do():
    assert tune(BRIDGES["flow"], 0.9, 20, passes=1).acceptance_rate == pytest.approx(0.9, abs=0.06)
    assert tune(BRIDGES["flow"], 0.9, 2, passes=1).moves == 1


def test_without_moves_there_is_nothing_to_tune():
    pilot = tune(BRIDGES["flow"], 0.9, 1)
    assert pilot == (0.1, None, 0, 0)


def test_seed_decides():
    first, again, other = (tune(BRIDGES["flow"], 0.9, 5, seed=seed).step_size for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_acceptance": 1.0}, "target_acceptance must be between 0 and 1: got 1.0"),
        ({"passes": 0}, "passes must be at least 1: got 0"),
        ({"initial_step_size": 2.0}, "must hold: got 0.0001, 2.0, 1.0"),
        ({"minimum_step_size": 0.0}, "must hold: got 0.0, 0.1, 1.0"),
    ],
)
def test_errors_of_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        PilotSettings(**({"target_acceptance": 0.9} | settings))


def test_errors():
    with pytest.raises(ValueError, match="leapfrog_steps must be at least 1: got 0"):
        tune(BRIDGES["flow"], 0.9, 5, leapfrog_steps=0)
