import pytest

from iafsweep.leaderboard import ranked
from iafsweep.records import EpochMetrics
from iafsweep.results.leaderboard_rows import scored_rows, usual_seconds
from iafsweep.run_files import metrics_file
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.stored_sweep import StoredSweep
from iafsweep.training import RunFolder
from tests.sweep.storage.test_ledger import HEADER, finished, proposed
from tests.sweep.tiny import tiny_space


def epochs(*seconds):
    return [
        EpochMetrics(
            epoch=number, kl_weight=1.0, learning_rate=1e-3, train_loss=1.0, train_negative_elbo=1.0,
            train_reconstruction=1.0, train_kl=0.0, validation_negative_elbo=1.0, images_per_second=1.0, seconds=each,
        )
        for number, each in enumerate(seconds, start=1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [((), None), ((5.0,), None), ((5.0, 1.0), 1.0), ((9.0, 1.0, 1.2, 7.0), 1.2)],
)
def test_a_slow_first_epoch_and_a_slow_neighbour_do_not_count(seconds, expected):
    assert usual_seconds(epochs(*seconds)) == expected


def test_two_like_trials_are_told_apart_by_their_usual_epochs_alone(tmp_path):
    """The first of them was slowed down for two epochs: by the mean of its seconds it would cost twice the other."""
    state = replay(
        HEADER, [proposed(1), proposed(2), proposed(3), finished(1, 9.0), finished(2, 9.5), finished(3, 9.7)]
    )
    folder = SweepFolder(tmp_path)
    for trial, seconds in {"t0001": (9.0, 1.0, 8.0, 1.0, 1.0), "t0002": (2.0, 1.0, 1.0, 1.0, 1.0)}.items():
        run = RunFolder(folder.trial(trial))
        run.path.mkdir(parents=True)
        for each in epochs(*seconds):
            metrics_file.append(run.metrics, each)
    rows = {row.trial: row for row in ranked(scored_rows(StoredSweep(folder, tiny_space(), state)).rows)}
    assert rows["t0001"].seconds_per_epoch == rows["t0002"].seconds_per_epoch == 1.0
    assert rows["t0001"].pareto
    assert not rows["t0002"].pareto
    end = state.named["t0003"].finished
    assert rows["t0003"].seconds_per_epoch == end.seconds / end.epochs  # its folder is gone
