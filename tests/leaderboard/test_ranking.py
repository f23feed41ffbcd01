"""The order of the leaderboard depends on the trials' validation bounds and statuses, and on nothing else."""

import itertools
import math
import random
from typing import get_args

import pytest

from iafsweep.leaderboard import best_row, ranked
from iafsweep.leaderboard.ranking import pareto_front
from iafsweep.records import Figure, LeaderboardRow, TrialStatus


def row(trial, status="completed", bound=None, **fields):
    return LeaderboardRow(trial=trial, status=status, validation_negative_elbo=bound, **fields)


ROWS = [
    row("t0001", bound=90.0),
    row("t0002", bound=88.5),
    row("t0003", "stopped", 70.0),
    row("t0004", "diverged", math.nan),
    row("t0005", "failed"),
    row("t0006", bound=math.nan),
    row("t0007", bound=90.0),
    row("t0008", "oom"),
    row("t0009", "running", 60.0),
    row("t0010", bound=math.inf),
    row("t0011", "stopped", 69.0),
    row("t0012"),
]


def order(rows):
    return [(found.trial, found.rank) for found in rows]


EXPECTED = [
    ("t0002", 1),
    ("t0001", 2),
    ("t0007", 3),  # a tie, by trial
    ("t0009", None),  # not completed: by bound, whatever became of it
    ("t0011", None),
    ("t0003", None),
    ("t0006", None),  # completed, but without a finite bound
    ("t0010", None),
    ("t0012", None),
    ("t0004", None),
    ("t0008", None),
    ("t0005", None),
]


def test_order():
    assert order(ranked(ROWS)) == EXPECTED


def test_figures_of_unlike_data_are_not_ranked_together():
    alike = [row("t0001", bound=90.0, data="mnist, bits"), row("t0002", bound=80.0, data="mnist, bits"), row("t0003")]
    assert len(ranked(alike)) == 3
    with pytest.raises(ValueError, match="split and levels, but these are of: mnist, 256 levels; mnist, bits"):
        ranked([*alike, row("t0004", bound=70.0, data="mnist, 256 levels")])


def test_a_broken_bound_stands_above_no_better_one():
    rows = [row("t0001", bound=90.0), row("t0002", "interrupted", 1356.57), row("t0003", "stopped", 111.76)]
    assert [trial for trial, _ in order(ranked(rows))] == ["t0001", "t0003", "t0002"]


def test_independent_of_input_order():
    generator = random.Random(0)
    for _ in range(100):
        shuffled = generator.sample(ROWS, len(ROWS))
        assert order(ranked(shuffled)) == EXPECTED
        assert best_row(shuffled).trial == "t0002"


def test_ties_by_trial_in_counting_order():
    rows = [row(trial, bound=1.0) for trial in ("t10", "t9", "t0100", "t2")]
    for permuted in itertools.permutations(rows):
        assert [found.trial for found in ranked(permuted)] == ["t2", "t9", "t10", "t0100"]


def test_figures_of_the_test_set_never_reorder():
    generator = random.Random(1)
    names = ("test_negative_elbo", "nll_importance_sampling", "nll_hais")

    def figure():
        return Figure(value=generator.uniform(50, 150), error=generator.uniform(50, 150))

    for _ in range(20):
        changed = [
            found.model_copy(update={name: figure() for name in names} | {"gpu_seconds": generator.uniform(50, 150)})
            for found in ROWS
        ]
        assert order(ranked(changed)) == EXPECTED


def test_ranks_given_before_do_not_matter():
    assert ranked(found.model_copy(update={"rank": 7}) for found in ROWS) == ranked(ROWS)
    assert ranked(ranked(ROWS)) == ranked(ROWS)


def test_every_status_has_its_place():
    statuses = get_args(TrialStatus)
    found = ranked(row(f"t{number}", status, 80.0) for number, status in enumerate(statuses))
    assert {each.status for each in found} == set(statuses)
    assert [each.status for each in found if each.rank] == ["completed"]


def test_best_of_none():
    assert best_row([]) is None
    assert best_row([row("t1", "failed"), row("t2", bound=math.nan), row("t3", "stopped", 3.0)]) is None


def test_one_row_a_trial():
    with pytest.raises(ValueError, match="one row per trial, got 2 of 't1'"):
        ranked([row("t1", bound=1.0), row("t2"), row("t1", "failed")])


def test_record_survives_json():
    for found in [*ROWS, row("t1", parameters={"a": 1, "b": 1.0, "c": "x", "d": True}, error="no, \n no")]:
        again = LeaderboardRow.model_validate_json(found.model_dump_json())
        assert repr(again) == repr(found)


def test_pareto_front_is_of_completed_trials_alone():
    def row(trial, bound, cost, status="completed"):
        return LeaderboardRow(trial=trial, status=status, validation_negative_elbo=bound, seconds_per_epoch=cost)

    rows = [
        row("t1", 90.0, 9.0),
        row("t2", 95.0, 2.0),
        row("t3", 95.0, 3.0),
        row("t4", 99.0, 2.0),
        row("t5", 80.0, 1.0, "stopped"),
        row("t6", 89.0, None),
    ]
    marks = {each.trial: each.pareto for each in ranked(rows)}
    assert marks == {"t1": True, "t2": True, "t3": False, "t4": False, "t5": None, "t6": False}


def test_pareto_front_is_what_its_definition_says():
    draws = random.Random(3)
    for size in range(40):
        points = [(float(draws.randint(0, 6)), draws.choice([None, 1.0, 2.0, 3.0, 4.0])) for _ in range(size)]
        rows = [row(f"t{at:04d}", bound=bound, seconds_per_epoch=cost) for at, (bound, cost) in enumerate(points)]
        timed = {f"t{at:04d}": each for at, each in enumerate(points) if each[1] is not None}
        front = {
            trial
            for trial, (bound, cost) in timed.items()
            if not any(b <= bound and c <= cost and (b, c) != (bound, cost) for b, c in timed.values())
        }
        assert pareto_front(rows) == front
