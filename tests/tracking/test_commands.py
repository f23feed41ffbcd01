"""`--tracker` on the two command lines: what a tracker hears, and that a broken one changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from iafsweep.cli.single import main
from iafsweep.sweep.callbacks.tracker import SweepTracking
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.training import tracking
from iafsweep.training.tracking import Mirror, RunToTrack
from tests.finished import BASE, SPACE, config_text, finish_sweep
from tests.tracking.fakes import FakeTracker

ROOT = Path(__file__).parent.parent.parent
SETS = (
    "training.batch_size=1000",
    "evaluation.bound_images=10",
    "evaluation.importance_sampling.images=5",
    "evaluation.importance_sampling.samples=4",
)


@pytest.fixture
def single(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(config_text(BASE))
    monkeypatch.setattr("iafsweep.training.tracking._is_installed", lambda name: True)

    def call(make, *words):
        monkeypatch.setitem(tracking.TRACKERS, "mlflow", make)
        sets = [word for each in SETS for word in ("--set", each)]
        monkeypatch.setattr("sys.argv", ["run_single.py", *words, "--tracker", "mlflow", *sets])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code, capsys.readouterr()

    return call


def test_a_single_run_is_sent_and_keeps_its_key(single):
    log = []
    code, told = single(lambda: FakeTracker(log), "tiny.toml", "--run", "run")
    assert code == 0
    assert "tracker" not in told.out + told.err
    (key,) = {key for key, _ in log}
    assert key == Path("run/tracker.key").read_text()
    heard = [what for _, what in log if not isinstance(what, RunToTrack)]
    assert [what for what in heard if isinstance(what, int)] == [1, 2]
    assert heard[-3:] == ["samples", "reconstructions", "completed"]
    (figures,) = [what for what in heard if isinstance(what, dict)]
    assert "test/importance_sampling/nll" in figures

    again = []
    code, _ = single(lambda: FakeTracker(again), "--run", "run", "--evaluate-only", "--set", "evaluation.seed=3")
    assert code == 0
    assert {each for each, _ in again} == {key}
    assert again[-1] == (key, "completed")


def test_a_run_that_never_began_is_not_sent(single):
    Path("run").mkdir()
    Path("run/notes.txt").write_text("mine")
    log = []
    code, told = single(lambda: FakeTracker(log), "tiny.toml", "--run", "run")
    assert code == 2
    assert "is not empty" in told.err
    assert log == []
    assert [path.name for path in Path("run").iterdir()] == ["notes.txt"]


def test_a_broken_tracker_changes_nothing_but_a_line(single):
    def broken():
        raise ConnectionError("no route")

    code, told = single(broken, "tiny.toml", "--run", "run")
    assert code == 0
    assert told.out.count("--tracker mlflow failed (ConnectionError: no route)") == 1
    assert Path("run/evaluation.json").exists()


def test_how_to_go_on_is_the_last_line_behind_a_tracker_s_trouble(single, monkeypatch):
    def broken():
        raise ConnectionError("no route")

    def interrupted(self, batch_done):
        raise KeyboardInterrupt

    monkeypatch.setattr("iafsweep.training.Trainer.run_epoch", interrupted)
    monkeypatch.setattr("iafsweep.training.tracking.mirror.CLOSE_SECONDS", 5.0)
    code, told = single(broken, "tiny.toml", "--run", "run")
    assert code == 130
    assert "--tracker mlflow failed" in told.out
    assert told.out.splitlines()[-2] == "Interrupted. To go on:"


def test_a_missing_package_is_said_before_anything_starts(single, monkeypatch):
    monkeypatch.setattr("iafsweep.training.tracking._is_installed", lambda name: False)
    code, told = single(lambda: None, "tiny.toml", "--run", "run")
    assert code == 2
    assert "[mlflow]" in told.err.partition(" -m pip install ")[2]
    assert not Path("run").exists()


def test_a_store_that_mlflow_refuses_is_said_before_anything_starts(single, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///x/mlruns")
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    code, told = single(lambda: None, "tiny.toml", "--run", "run")
    assert code == 2
    assert "sqlite:///mlflow.db" in told.err
    assert not Path("run").exists()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    tracking.make_mirror("mlflow").close(print)


def test_all_trials_of_a_sweep_are_sent_from_the_driver(tmp_path):
    folder = finish_sweep(tmp_path / "depths")
    state = read_ledger(folder.ledger)
    log, said = [], []
    following = SweepTracking(Mirror("fake", lambda: FakeTracker(log)), SPACE, folder, said.append)
    following.begin(None, state, 4)
    following.close()
    assert said == []
    opened = {run.name: run for _, run in log if isinstance(run, RunToTrack)}
    assert set(opened) == {"depths t0001", "depths t0002", "depths t0003"}
    assert all(run.group == "depths" for run in opened.values())
    assert opened["depths t0001"].config.model.flow.depth == 1
    for trial, status in (("t0001", "completed"), ("t0002", "completed"), ("t0003", "failed")):
        heard = [what for key, what in log if key == f"abc-{trial}" and not isinstance(what, RunToTrack)]
        assert heard[-1] == status
        assert [what for what in heard if isinstance(what, int)] == ([1, 2] if status == "completed" else [])

    log.clear()
    following = SweepTracking(Mirror("fake", lambda: FakeTracker(log)), SPACE, folder, said.append)
    following.scored(["t0001"])
    following.close()
    (figures,) = [what for _, what in log if isinstance(what, dict)]
    assert figures["test/importance_sampling/nll"] == 98.25


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of what MLflow uses
def test_a_real_sweep_in_a_real_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    command = [
        sys.executable,
        str(ROOT / "run_sweep.py"),
        "launch",
        "mnist_smoke",
        "--name",
        "smoke",
        "--tracker",
        "mlflow",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--tracker" not in done.stdout
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("iafsweep").experiment_id])
    assert sorted(run.info.run_name for run in runs) == ["smoke t0001", "smoke t0002"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        assert len(client.get_metric_history(run.info.run_id, "train_loss")) == 2
    assert sum("test/importance_sampling/nll" in run.data.metrics for run in runs) == 1
