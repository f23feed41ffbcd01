"""The surrogate against curves whose formula is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from iafsweep.rehearsal.features import Features
from iafsweep.rehearsal.surrogate import ASSUMED_NOISE, Surrogate
from tests.rehearsal.recorded import EPOCHS, bound, curve, recorded, searched

SPACE = searched()
FLAT = {"model.flow.depth": 0, "training.learning_rate": 0.003}
DEEP = {"model.flow.depth": 2, "model.flow.made.width": 8, "training.learning_rate": 0.003}


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(SPACE, recorded(80))


def test_it_knows_bounds_and_seconds_that_it_was_not_given(surrogate):
    for values in (FLAT, DEEP):
        found = surrogate.bounds([values])[0]
        assert found == pytest.approx([bound(values, epoch) for epoch in range(1, EPOCHS + 1)], abs=0.6)
        assert surrogate.training(values, 0).seconds[0] == pytest.approx(1 + values["model.flow.depth"], rel=0.02)
    best = min(bound({**DEEP, "training.learning_rate": rate}) for rate in np.geomspace(1e-3, 1e-2, 50))
    assert surrogate.best(SPACE) == pytest.approx(best, abs=0.3)
    foretold = surrogate.bounds(surrogate.ranked(SPACE)).min(1)
    assert foretold[0] == surrogate.best(SPACE)
    assert (np.diff(foretold) >= 0).all()


def test_the_lowest_that_was_recorded_is_of_any_epoch_and_trial(surrogate):
    assert surrogate.lowest_recorded == min(min(each.bounds) for each in recorded(80))


def test_its_error_is_that_on_configurations_left_out():
    surrogate, others = Surrogate(SPACE, recorded(80, noise=0.3)), recorded(80, noise=0.3, seed=1)
    found = surrogate.bounds([each.values for each in others])[:, -1]
    last = np.array([each.bounds[-1] for each in others])
    better = last <= np.median(last)
    assert surrogate.error.bound == pytest.approx(float(np.sqrt(np.mean((found - last)[better] ** 2))), rel=0.4)
    assert surrogate.error.bound < 0.6
    assert surrogate.error.rank > 0.98
    nonsense = Surrogate(SPACE, [curve(each.values, noise) for each, noise in zip(
        recorded(80), np.random.default_rng(0).normal(0, 30, 80), strict=True)])  # fmt: skip
    assert nonsense.error.bound > 5
    assert nonsense.error.rank < 0.6


def test_by_how_much_trainings_blew_up_says_nothing_about_the_good():
    blown = [
        replace(each, bounds=tuple(bound * 10.0 ** (2 + 3 * (number % 5)) for bound in each.bounds))
        if each.values["training.learning_rate"] > 0.005
        else each
        for number, each in enumerate(recorded(80))
    ]
    surrogate = Surrogate(SPACE, blown)
    good = [each for each in recorded(80, seed=1) if each.values["training.learning_rate"] < 0.0045]
    found = surrogate.bounds([each.values for each in good])[:, -1]
    assert len(good) > 50
    assert np.median(np.abs(found - [each.bounds[-1] for each in good])) < 0.2
    assert surrogate.lowest_recorded - 0.5 < surrogate.best(SPACE) <= surrogate.lowest_recorded


def test_seeds_differ_as_much_as_those_that_were_recorded():
    generator = np.random.default_rng(0)
    twice = [curve(each.values, 0.4 * generator.standard_normal()) for each in recorded(60) for _ in (0, 1)]
    surrogate = Surrogate(SPACE, twice)
    drawn = [surrogate.training(DEEP, seed).bounds[-1] for seed in range(400)]
    assert surrogate.error.noise_measured
    assert float(np.std(drawn)) == pytest.approx(0.4, rel=0.3)
    assert float(np.mean(drawn)) == pytest.approx(bound(DEEP), abs=0.3)
    assert surrogate.training(DEEP, 3) == surrogate.training(DEEP, 3)


def test_one_configuration_with_two_seeds_is_enough_to_measure_noise():
    first, *others = recorded(40)
    surrogate = Surrogate(SPACE, [first, curve(first.values, 0.3), *others])
    assert surrogate.error.noise_measured
    assert surrogate.error.noise == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_noise_is_assumed_where_nothing_was_trained_twice(surrogate):
    assert not surrogate.error.noise_measured
    drawn = [surrogate.training(DEEP, seed).bounds[-1] for seed in range(400)]
    assert float(np.std(drawn)) == pytest.approx(ASSUMED_NOISE, rel=0.3)


def test_stopped_curves_go_on_as_those_near_them_did():
    whole = recorded(60)
    cut = [each if index % 2 else curve(each.values, status="stopped", epochs=9) for index, each in enumerate(whole)]
    found = Surrogate(SPACE, cut).bounds([DEEP])[0]
    assert found[-1] == pytest.approx(bound(DEEP), abs=1.0)


def test_what_ended_badly_ends_badly_near_by_and_in_its_branch_alone():
    bad = [curve({**FLAT, "training.learning_rate": rate}, status="diverged", epochs=2)
           for rate in np.geomspace(6e-3, 1e-2, 5)]  # fmt: skip
    good = [each for each in recorded(80) if each.values["training.learning_rate"] < 6e-3 or
            each.values["model.flow.depth"]]  # fmt: skip
    surrogate = Surrogate(SPACE, [*good, *bad])
    found = surrogate.training({**FLAT, "training.learning_rate": 0.008}, 0)
    assert (found.status, len(found.bounds), len(found.seconds)) == ("diverged", 2, 3)
    for values in (FLAT, {**DEEP, "training.learning_rate": 0.008}):
        assert surrogate.training(values, 0).status == "completed"


def test_inactive_is_a_category():
    features = Features(SPACE)
    flat, deep = features.point(FLAT), features.point(DEEP)
    narrow = features.point({**DEEP, "model.flow.made.width": 4})
    assert len(flat) == 4  # depth, width, whether there is a width, learning rate
    assert (flat[1], flat[2], deep[1], deep[2], narrow[1]) == (0.5, 0.0, 1.0, 1.0, 0.0)
    assert deep[0] == pytest.approx(2 / 3)
    assert deep[3] == pytest.approx(math.log10(3))
    assert features.branch(FLAT) == frozenset()
    assert features.branch(DEEP) == {"model.flow.made.width"}
