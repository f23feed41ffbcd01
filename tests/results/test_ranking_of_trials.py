from iafsweep.results.leaderboard_rows import leaderboard_rows
from iafsweep.sweep.scoring.selection import best_trials
from iafsweep.sweep.storage.events import Started
from iafsweep.sweep.storage.state import replay
from tests.sweep.storage.test_ledger import HEADER, finished, proposed
from tests.sweep.tiny import tiny_space

STATE = replay(
    HEADER,
    [
        *(proposed(number) for number in range(1, 8)),
        finished(1, 99.0),
        finished(2, 80.0, "stopped"),
        finished(3, 97.0),
        finished(4, None, "failed").model_copy(
            update={"error": "Traceback\n  File x\nValueError: no\n", "best_epoch": None}
        ),
        finished(5, 97.0),
        Started(trial="t0006", time="t"),
    ],
)


def test_every_trial_has_a_row():
    rows = leaderboard_rows(STATE, tiny_space())
    assert [row.status for row in rows] == [
        "completed",
        "stopped",
        "completed",
        "failed",
        "completed",
        "interrupted",
        "pending",
    ]
    assert rows[0].checkpoint == "trials/t0001/best.pt"
    assert (rows[0].validation_negative_elbo, rows[0].validation_images, rows[0].seed) == (99.0, 1000, 1)
    assert (rows[3].error, rows[3].checkpoint, rows[3].validation_images) == ("ValueError: no", None, None)
    assert all(row.rank is None for row in rows)


def test_best_trials_are_completed_ones_the_earlier_of_equals_first():
    assert [trial.trial for trial in best_trials(STATE, 5)] == ["t0003", "t0005", "t0001"]
    assert [trial.trial for trial in best_trials(STATE, 1)] == ["t0003"]
    assert best_trials(STATE, 0) == ()
