import random
from types import SimpleNamespace

import pytest
from ray.tune.schedulers import AsyncHyperBandScheduler

from iafsweep.sweep.schedulers.asha import Rungs
from iafsweep.sweep.storage.events import Finished, Rung


def test_milestones_grow_by_the_factor_and_stay_below_the_end():
    assert Rungs(2, 3, 55).milestones == (2, 6, 18, 54)
    assert Rungs(2, 3, 54).milestones == (2, 6, 18)
    assert Rungs(5, 2, 4).milestones == ()


@pytest.mark.parametrize(("grace", "factor"), [(0, 2), (1, 1)])
def test_wrong_arguments_are_refused(grace, factor):
    with pytest.raises(ValueError, match="must hold, got"):
        Rungs(grace, factor, 10)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_decides_as_rays_asha(factor):
    draws = random.Random(factor)
    rungs = Rungs(1, factor, 30)
    asha = AsyncHyperBandScheduler(
        time_attr="epoch", metric="loss", mode="min", max_t=30, grace_period=1, reduction_factor=factor
    )
    trials = [SimpleNamespace(trial_id=f"t{number:04d}") for number in range(40)]
    for trial in trials:
        asha.on_trial_add(None, trial)
    alive = {trial.trial_id: 0 for trial in trials}
    while alive:
        name = draws.choice(sorted(alive))
        alive[name] += 1
        value = 100 + draws.random()
        stops = asha.on_trial_result(None, SimpleNamespace(trial_id=name), {"epoch": alive[name], "loss": value})
        assert rungs.record(name, alive[name], value) == (stops == "STOP" and alive[name] < 30)
        if stops == "STOP":
            del alive[name]


def test_a_trial_that_completes_at_a_rung_is_not_on_it_after_a_resume_either():
    """Where epochs are searched: of a trial's last one the scheduler is not asked, so the running rungs lack it too."""
    end = Finished(trial="t0001", status="completed", epochs=9, value=90.0, seconds=0, gpu_seconds=0, time="t")
    refilled = Rungs(1, 3, 27)
    refilled.refill([end])
    assert not refilled.record("t0002", 9, 92.0)
    refilled.refill([end.model_copy(update={"status": "stopped", "trial": "t0003"})])  # was asked about, and counts
    assert refilled.record("t0004", 9, 92.0)


def test_rung_passed_before_is_not_judged_again():
    rungs = Rungs(1, 2, 10)
    rungs.refill([Rung(trial="t0001", epoch=1, value=1.0, time="t"), Rung(trial="t0002", epoch=1, value=2.0, time="t")])
    assert not rungs.record("t0002", 1, 2.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_bounds_that_are_not_finite_neither_stop_nor_count(value):
    rungs = Rungs(1, 2, 10)
    assert not rungs.record("t0001", 1, 5.0)
    assert not rungs.record("t0002", 1, value)
    assert rungs.record("t0003", 1, 5.1)
