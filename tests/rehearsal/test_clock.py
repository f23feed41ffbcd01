"""The simulated clock: what workers cost, who goes on, and what is lost."""

import math
from collections import Counter

import pytest

from iafsweep.rehearsal.clock import ATTEMPTS, Faults, drive_in_stages, rehearse
from iafsweep.rehearsal.sweep import RehearsedSweep
from iafsweep.sweep.storage.events import Finished, Proposed, Rung
from tests.rehearsal.recorded import EPOCHS, bound, curve, searched


def trained(trial):
    return curve(trial.proposed.parameters)


def told(rehearsal):
    """What happened but for clocks."""
    return [row.model_dump(exclude={"time"}) for row in rehearsal.state.events]


def test_a_rehearsal_takes_as_long_as_its_trials():
    space = searched(sampler="random", scheduler="none", trials=12)
    alone, four = (rehearse(space, trained, workers) for workers in (1, 4))
    costs = [EPOCHS * (1 + trial.proposed.parameters["model.flow.depth"]) for trial in alone.state.trials]
    assert alone.seconds == pytest.approx(sum(costs))
    assert alone.spent == pytest.approx(four.spent) == pytest.approx(sum(costs))
    workers = [0.0] * 4
    for cost in costs:  # whoever is free first takes the next
        workers[workers.index(min(workers))] += cost
    assert four.seconds == pytest.approx(max(workers))
    assert alone.epochs == four.epochs == 12 * EPOCHS
    assert min(each.bound for each in four.completed) == four.state.best.finished.best_value
    assert [each.spent for each in alone.completed] == pytest.approx([sum(costs[: k + 1]) for k in range(12)])


@pytest.mark.parametrize("sampler", ["tpe", "quasi_random"])
def test_a_rehearsal_is_a_function_of_the_seed(sampler):
    space, faults = searched(sampler=sampler, scheduler="asha", grace_epochs=3, seed=4), Faults(20.0, 0.1, 0.2)
    assert told(rehearse(space, trained, 3, faults)) == told(rehearse(space, trained, 3, faults))
    assert told(rehearse(space, trained, 3, faults)) != told(rehearse(space, trained, 3))


@pytest.mark.parametrize("scheduler", ["none", "asha_promotion"])
def test_stages_of_one_sweep_are_what_each_would_be_alone(scheduler):
    space = searched(sampler="tpe", scheduler=scheduler, grace_epochs=3, trials=14)
    limits = (60.0, 61.0, 200.0, math.inf)
    stages = list(drive_in_stages(RehearsedSweep(space), trained, 3, Faults(20.0, 0.1, 0.2), limits))
    for limit, stage in zip(limits, stages, strict=True):
        alone = rehearse(space, trained, 3, Faults(20.0, 0.1, 0.2), limit=limit)
        assert told(stage) == told(alone)
        assert (stage.epochs, len(stage.completed)) == (alone.epochs, len(alone.completed))
        assert (stage.spent, stage.seconds) == pytest.approx((alone.spent, alone.seconds))
    assert len({len(told(stage)) for stage in stages}) > 2


@pytest.mark.parametrize("cut", [1, 7, 16, 29])
def test_a_sweep_that_is_cut_off_anywhere_and_gone_on_with_decides_alike(cut):
    space = searched(sampler="tpe", scheduler="asha", grace_epochs=3, trials=14)
    whole = rehearse(space, trained, 1).state
    resumed = rehearse(space, trained, 1, rows=whole.events[:cut]).state

    def decided(state):
        kinds = (Proposed, Rung, Finished)
        return [
            row.model_dump(exclude={"time", "seconds", "gpu_seconds"}) for row in state.events if isinstance(row, kinds)
        ]

    assert len(whole.events) > cut
    assert decided(resumed) == decided(whole)
    assert not resumed.problems


def test_ties_go_on_at_a_rung():
    """Equal bounds are not above the quantile of those before them."""
    space = searched(sampler="random", scheduler="asha", grace_epochs=3, trials=6)
    alike = curve({"model.flow.depth": 0, "training.learning_rate": 0.004})
    found = rehearse(space, lambda trial: alike, 6)
    assert [trial.finished.status for trial in found.state.trials] == ["completed"] * 6


def test_a_report_that_comes_once_more_is_not_judged_twice():
    """A process that is lost behind a rung, before its next epoch ends, tells of the rung again."""
    space = searched(sampler="random", scheduler="asha", grace_epochs=3, trials=40)
    found = rehearse(space, trained, 4, Faults(lost_an_hour=200.0))
    told = [(row.trial, row.epoch) for row in found.state.events if isinstance(row, Rung)]
    assert len(set(told)) == len(told) > 20
    again = rehearse(space, trained, 4, Faults(lost_an_hour=200.0), rows=found.state.events)
    assert again.state.events == found.state.events  # nothing was left to do, and nothing is told again


def test_what_goes_wrong_goes_wrong_as_often_as_it_is_said_to():
    space = searched(sampler="random", scheduler="none", trials=300)
    found = rehearse(space, trained, 20, Faults(lost_an_hour=20.0, oom=0.2, stragglers=0.0))
    ends = Counter(trial.finished.status for trial in found.state.trials)
    assert ends.keys() == {"completed", "oom", "failed"} or ends.keys() == {"completed", "oom"}
    assert ends["oom"] / 300 == pytest.approx(0.2, abs=0.07)
    quiet = rehearse(space, trained, 20)
    assert found.state.trials[0].proposed == quiet.state.trials[0].proposed
    lost = [trial.finished.seconds - sum(trained(trial).seconds) for trial in found.state.trials
            if trial.finished.status == "completed"]  # fmt: skip
    assert all(each >= -1e-9 for each in lost)
    assert any(each > 0.01 for each in lost)  # parts of epochs that were trained twice
    assert max(lost) < (ATTEMPTS - 1) * 4.0
    slow = rehearse(space, trained, 20, Faults(stragglers=1.0, slowness=3.0))
    assert slow.seconds == pytest.approx(3 * quiet.seconds)


def test_a_trial_that_always_loses_its_process_fails():
    found = rehearse(searched(sampler="random", scheduler="none", trials=3), trained, 1, Faults(lost_an_hour=1e5))
    assert {trial.finished.status for trial in found.state.trials} == {"failed"}
    assert all(trial.finished.best_value is None or math.isfinite(trial.finished.best_value)
               for trial in found.state.trials)  # fmt: skip
    assert not found.completed


def test_a_rehearsal_can_be_cut_off_by_its_cost():
    space = searched(sampler="random", scheduler="none", trials=12)
    whole = rehearse(space, trained, 3)
    cut = rehearse(space, trained, 3, limit=whole.spent / 2)
    assert cut.spent == whole.spent / 2
    assert whole.seconds / 2 - 4 * EPOCHS < cut.seconds < whole.seconds
    assert [each.bound for each in cut.completed] == [each.bound for each in whole.completed if each.spent <= cut.spent]


@pytest.mark.parametrize("workers", [1, 5])
def test_trials_that_are_promoted_go_on_where_they_stopped(workers):
    """In the end each rung has let a third of those that came to it go on, and nothing was trained twice."""
    space = searched(sampler="random", scheduler="asha_promotion", grace_epochs=3, trials=30)
    found = rehearse(space, trained, workers)
    state = found.state
    ends = Counter(trial.finished.epochs for trial in state.trials)
    assert ends.keys() == {3, 9, EPOCHS}
    for rung in (3, 9):
        at = sorted(bound(trial.proposed.parameters, rung) for trial in state.trials if trial.finished.epochs >= rung)
        went_on = [trial for trial in state.trials if any(each.epoch == rung for each in trial.rungs)]
        assert {bound(trial.proposed.parameters, rung) for trial in went_on} >= set(at[: max(1, len(at) // 3)])
        assert [trial.finished.epochs > rung for trial in state.trials].count(True) == len(went_on)
    assert found.epochs == sum(trial.finished.epochs for trial in state.trials)
    assert found.spent == pytest.approx(
        sum(trial.finished.epochs * (1 + trial.proposed.parameters["model.flow.depth"]) for trial in state.trials)
    )
    assert all(trial.finished.seconds == pytest.approx(trial.finished.epochs * trained(trial).seconds[0])
               for trial in state.trials)  # fmt: skip
    assert sum(trial.reopened for trial in state.trials) > 0
    assert all(trial.starts == 1 + trial.reopened for trial in state.trials)
    assert rehearse(space, trained, workers, rows=state.events).state.events == state.events


@pytest.mark.parametrize("cut", [2, 9, 20, 33, 41])
def test_promotions_are_decided_alike_after_a_cut(cut):
    space = searched(sampler="tpe", scheduler="asha_promotion", grace_epochs=3, trials=14)
    whole = rehearse(space, trained, 1).state

    def decided(state):
        kinds = (Proposed, Rung, Finished)
        return [
            row.model_dump(exclude={"time", "seconds", "gpu_seconds"}) for row in state.events if isinstance(row, kinds)
        ]

    resumed = rehearse(space, trained, 1, rows=whole.events[:cut]).state
    assert len(whole.events) > cut
    assert decided(resumed) == decided(whole)
