"""Every rule that stops trials: refilled from a ledger it decides as it would have."""

import math
import random

import pytest

from iafsweep.config.sweep import SCHEDULERS
from iafsweep.search_space.validation import check_space
from iafsweep.sweep.schedulers.base import beginnings, make_stop_rule, promoted, promotion
from iafsweep.sweep.schedulers.hyperband import Brackets
from iafsweep.sweep.schedulers.median import MedianRule
from iafsweep.sweep.schedulers.promotion import PromotingRungs
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Reopened, Rung, trial_name
from iafsweep.sweep.storage.state import replay
from tests.sweep.tiny import tiny_space

HEADER = Header(sweep="abc", created="t", seed=0, space="s")
STOPPING = [kind for kind in SCHEDULERS.members if kind not in ("none", "pbt")]
EPOCHS, TRIALS = 30, 24


def space_of(scheduler):
    return tiny_space(epochs=EPOCHS, scheduler=scheduler, grace_epochs=2, reduction_factor=2, trials=TRIALS)


def finished(trial, status, epoch, value=None):
    return Finished(trial=trial, status=status, epochs=epoch, value=value, seconds=1.0, gpu_seconds=0.0, time="t")


def rule_of(space, rows):
    return make_stop_rule(space, replay(HEADER, rows))


def disturbed_sweep(space, seed):
    """Rows of a sweep as the driver writes them, and before which of them the rule decided what.

    Trials train side by side; some diverge and begin afresh (with another driver), some report a bound that is not
    finite, some are stopped by somebody, and now and then one that was killed reports its milestone once more.
    """
    rule = rule_of(space, [])
    draws = random.Random(seed)
    rows = [
        Proposed(trial=trial_name(number), number=number, parameters={}, seed=0, key=str(number), time="t")
        for number in range(1, TRIALS + 1)
    ]
    decisions, epochs = [], {row.trial: 0 for row in rows}
    while epochs:
        name = draws.choice(sorted(epochs))
        epochs[name] += 1
        epoch, chance = epochs[name], draws.random()
        value = 100 + draws.choice([draws.random(), 0.5])  # ties too
        if epoch == EPOCHS:
            rows.append(finished(name, "completed", epoch, value))
            del epochs[name]
            continue
        if chance < 0.01:
            rows += [finished(name, "diverged", epoch), Reopened(trial=name, afresh=True, time="t")]
            epochs[name], rule = 0, rule_of(space, rows)
            continue
        if chance > 0.97:
            value = draws.choice([math.nan, math.inf])
        stops = rule.record(name, epoch, value)
        decisions.append((len(rows), name, epoch, value, stops))
        if stops or chance > 0.995:
            rows.append(finished(name, "stopped", epoch, value if math.isfinite(value) else None))
            del epochs[name]
        elif epoch in rule.milestones:
            rows.append(Rung(trial=name, epoch=epoch, value=value, time="t"))
            if chance > 0.9:
                decisions.append((len(rows), name, epoch, value, rule.record(name, epoch, value)))
    return rows, decisions


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scheduler", STOPPING)
def test_refilled_after_any_row_it_decides_as_the_one_that_saw_them_all(scheduler, seed):
    space = space_of(scheduler)
    check_space(space)
    rows, decisions = disturbed_sweep(space, seed)
    milestones = rule_of(space, []).milestones
    assert {stops for *_, stops in decisions} == {True, False}
    for before, name, epoch, value, stops in decisions:
        if epoch in milestones:
            assert rule_of(space, rows[:before]).record(name, epoch, value) == stops


@pytest.mark.parametrize("scheduler", STOPPING)
def test_what_is_not_finite_or_late_neither_stops_nor_counts(scheduler):
    """Beside five others, so that a bound above theirs does stop a trial at the second milestone of each rule."""
    names = [trial_name(number) for number in range(1, 60)]
    rule = rule_of(space_of(scheduler), [])
    first, second = rule.milestones[:2]
    for name in names[:40]:
        assert not rule.record(name, first, 100.0)  # a tie is no reason
        assert not rule.record(name, second, 90.0)
    assert not rule.record(names[41], second, math.nan)
    assert not rule.record(names[41], second, math.inf)
    assert not rule.record(names[0], second, 500.0)  # passed before
    assert not rule.record(names[42], second + 1, 500.0) or second + 1 in rule.milestones
    stopped = [rule.record(name, second, 200.0) for name in names[43:]]
    assert any(stopped)


def test_brackets_begin_later_and_are_as_large_as_hyperbands():
    rule = Brackets(1, 3, 10)
    assert rule.milestones == (1, 3, 9)
    cycle = [rule.bracket(trial_name(number)) for number in range(1, 1 + 27 + 12 + 6 + 4)]
    assert [cycle.count(bracket) for bracket in range(4)] == [27, 12, 6, 4]  # ceil(4 / (s + 1) 3^s), s = 3 ... 0
    assert [rule.bracket(trial_name(number + len(cycle))) for number in range(1, 50)] == cycle[:49]
    for count in (5, 10, 20):  # every beginning of a cycle has its share
        assert cycle[:count].count(0) == pytest.approx(count * 27 / 49, abs=1)


def test_a_bracket_stops_among_its_own_and_not_before_its_first_rung():
    rule = Brackets(1, 2, 8)
    of = {bracket: [name for number in range(1, 60) if rule.bracket(name := trial_name(number)) == bracket]
          for bracket in range(4)}  # fmt: skip
    for bracket, names in of.items():
        for rung, epoch in enumerate(rule.milestones):
            good, *others, bad = names
            assert not rule.record(good, epoch, 90.0 + bracket)  # no bracket is judged by another's lower bounds
            for other in others:
                assert not rule.record(other, epoch, 90.0 + bracket)
            assert rule.record(bad, epoch, 99.0) == (rung >= bracket)


def test_the_median_rule_compares_the_best_bound_with_running_averages():
    rule = MedianRule(grace=2, epochs=10, checks=4, fewest=2)
    assert rule.milestones == (2, 4, 6, 8)
    assert not rule.record("t0001", 2, 110.0)
    assert not rule.record("t0002", 2, 120.0)  # beside one other, which are too few
    assert rule.record("t0003", 2, 130.0)  # of 110 and 120
    assert not rule.record("t0001", 4, 100.0)
    assert not rule.record("t0002", 4, 100.0)
    assert not rule.record("t0004", 2, 118.0)  # of 110, 120, 130
    assert rule.record("t0004", 4, 150.0)  # its best is 118, and the averages up to here 105 and 110
    assert not rule.record("t0005", 2, 109.0)
    assert not rule.record("t0005", 4, 200.0)  # its best is 109, and the averages 105, 110, 134


def test_the_median_rule_judges_so_often_at_most():
    for epochs in (3, 10, 17, 18, 19, 100, 1000):
        milestones = MedianRule(grace=2, epochs=epochs, checks=16, fewest=4).milestones
        assert len(milestones) <= 16
        assert milestones[0] == 2
        assert milestones[-1] < epochs
    assert MedianRule(grace=1, epochs=1, checks=16, fewest=4).milestones == ()
    with pytest.raises(ValueError, match="at least 1, got 0"):
        MedianRule(0, 10, 1, 1)


def test_promotion_waits_for_others_and_goes_from_the_highest_rung_down():
    rule = PromotingRungs(1, 2, 8)
    assert rule.milestones == (1, 2, 4)
    rows = []

    def report(name, epoch, value):
        if epoch == 1:
            rows.append(Proposed(trial=name, number=int(name[1:]), parameters={}, seed=0, key=name, time="t"))
        stops = rule.record(name, epoch, value)
        rows.append(
            finished(name, "stopped", epoch, value) if stops else Rung(trial=name, epoch=epoch, value=value, time="t")
        )
        return stops

    def promote():
        """The trial that goes on, which a rule that knows the rows alone chooses too."""
        state = replay(HEADER, rows)
        best, again = promotion(rule, state), PromotingRungs(1, 2, 8)
        again.refill(rows)
        assert promotion(again, state) == best
        if best is not None:
            rows.extend(promoted(best, "t"))
        return None if best is None else best.trial

    assert not report("t0001", 1, 100.0)  # one at least goes on
    assert report("t0002", 1, 101.0)
    assert promote() is None
    assert report("t0003", 1, 102.0)  # one place in three
    assert promote() is None
    assert report("t0004", 1, 103.0)  # and two in four
    assert promote() == "t0002"
    assert promote() is None  # once
    assert not report("t0001", 2, 90.0)
    assert report("t0002", 2, 95.0)
    assert report("t0005", 1, 104.0)
    assert report("t0006", 1, 105.0)  # three in six
    assert promote() == "t0003"
    assert report("t0003", 2, 96.0)
    assert not report("t0007", 1, 99.0)
    assert report("t0007", 2, 97.0)  # two in four
    assert promote() == "t0002"  # before t0004, which waits on the rung below
    assert promote() is None  # three in seven at the first rung, and there are no better ones
    assert report("t0008", 1, 106.0)
    assert report("t0009", 1, 107.0)
    assert report("t0010", 1, 108.0)
    assert promote() == "t0004"
    rows.append(finished("t0004", "stopped", 1, 103.0))  # by somebody, in its second epoch
    assert report("t0011", 1, 109.0)
    assert report("t0012", 1, 110.0)
    assert promote() == "t0005"


def test_a_trial_that_somebody_stopped_at_a_rung_is_not_promoted():
    rule = PromotingRungs(1, 2, 4)
    rows = [Proposed(trial="t0001", number=1, parameters={}, seed=0, key="a", time="t")]
    assert not rule.record("t0001", 1, 100.0)
    rows.append(finished("t0001", "stopped", 1, 100.0))
    assert promotion(rule, replay(HEADER, rows)) is None


def test_promotions_that_are_left_count_as_trials_that_may_begin():
    rule, rows = PromotingRungs(1, 2, 8), []
    for number, value in enumerate((100.0, 101.0, 102.0), start=1):
        name = f"t{number:04d}"
        rows.append(Proposed(trial=name, number=number, parameters={}, seed=0, key=name, time="t"))
        stops = rule.record(name, 1, value)
        rows.append(finished(name, "stopped" if stops else "completed", 1 if stops else 8, value))
    state = replay(HEADER, rows)
    assert promotion(rule, state) is None
    assert (beginnings(rule, state, 0, 3), beginnings(rule, state, 1, 4)) == (0, 1 + 4 * 3)
    assert rule.record("t0004", 1, 103.0)
    rows += [
        Proposed(trial="t0004", number=4, parameters={}, seed=0, key="t0004", time="t"),
        finished("t0004", "stopped", 1, 103.0),
    ]
    state = replay(HEADER, rows)  # two places in four: the second one waits
    assert promotion(rule, state) is not None
    assert beginnings(rule, state, 0, 4) == 4 * 3
    assert beginnings(None, state, 0, 4) == 0
