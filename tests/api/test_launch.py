"""Sweeps from Python: launched and gone on with; the trainer stands in for Tune, but for the slow tests at the end."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import iafsweep
from iafsweep.config import dump_config
from iafsweep.errors import SweepError
from iafsweep.results.optuna_journal import study_of
from iafsweep.search_space.files import dump_space
from iafsweep.sweep.storage.events import Ended
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.sweep.tune.driver import Session, SweepOutcome
from tests.advice.conftest import TINY, cli, finished, folder, training  # noqa: F401 - fixtures
from tests.advice.places import covers
from tests.cli.tiny_run import ROOT
from tests.finished import SPACE

BASE = TINY.with_values({"title": "Which depth?"})
SEARCH = {"model.flow.depth": iafsweep.integers(0, 3)}
SETTINGS = {"sampler": "grid", "scheduler": "none", "max_concurrent": 1, "top": 1}
OFF = {"progress": "off"}


def space(**settings):
    return iafsweep.SearchSpace(base=BASE, search=SEARCH, trials=2, sweep=SETTINGS | settings)


def ended(path):
    return [trial.finished.status for trial in read_sweep(SweepFolder(path)).state.trials if trial.finished]


@pytest.fixture
def sweep(cli, training, tmp_path):  # noqa: F811
    return iafsweep.launch(space(), tmp_path / "sweep", **OFF)


def test_a_sweep_is_launched_gone_on_with_scored_and_read(sweep, tmp_path, capsys):
    assert isinstance(sweep, iafsweep.LoadedSweep)
    assert sweep.path == tmp_path / "sweep"
    assert [row.status for row in sweep.rows] == ["completed"] * 2
    assert sweep.rows[0].nll_importance_sampling.samples == 4
    assert sweep.resume(**OFF) is sweep
    assert len(sweep.rows) == 2
    assert len(sweep.extend(1, **OFF).rows) == 3
    sweep.rerun(top=2, samples=6, images=7, **OFF)
    assert sum(row.nll_importance_sampling is not None for row in sweep.rows) == 2
    sweep.rerun(trials=["t0003"], samples=6, images=7, **OFF)
    differences = sweep.compare("t0001", "t0003")
    assert set(differences["settings"]) >= {"6 samples"}
    assert (differences["difference"] == 0).all()  # copies of one run
    assert sweep.compare().shape[1] == differences.shape[1]
    assert sweep.best("cpu").path.name == "t0001"
    assert sweep.retrain(top=1, seeds=2, **OFF).rows[0].retrained.nll_importance_sampling.seeds == 2
    assert capsys.readouterr() == ("", "")


def test_the_folder_is_that_of_the_command_and_either_goes_on(cli, training, tmp_path):  # noqa: F811
    space().save(tmp_path / "mine.toml")
    assert cli.sweep("launch", "mine.toml", "--name", "theirs").code == 0
    ours = iafsweep.launch(space(), tmp_path / "runs" / "ours", **OFF)
    theirs = SweepFolder(tmp_path / "runs" / "theirs")
    assert {path.name for path in ours.path.iterdir()} == {path.name for path in theirs.path.iterdir()}
    assert SweepFolder(ours.path).space.read_text() == theirs.space.read_text()
    assert cli.sweep("extend", ours.path, "--trials", "+1").code == 0
    iafsweep.load_sweep(theirs.path).extend(1, **OFF)
    rows = [[row.parameters for row in iafsweep.load_sweep(path).rows] for path in (ours.path, theirs.path)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 3
    boards = [pd.read_csv(path / "leaderboard.csv") for path in (ours.path, theirs.path)]
    pd.testing.assert_frame_equal(*(board.drop(columns=[c for c in board if "seconds" in c]) for board in boards))


def test_a_name_and_settings_over_those_of_the_space(cli, training, tmp_path):  # noqa: F811
    (tmp_path / "mine.toml").write_text(dump_space(replace(SPACE, base=BASE)))
    found = iafsweep.launch("mine.toml", "runs/named", settings={"trials": 1, "top": 0}, **OFF)
    assert [len(found.rows), found.rows[0].nll_importance_sampling] == [1, None]
    warm = iafsweep.launch("mine.toml", "runs/warm", settings={"trials": 1}, warm_start=found.path, **OFF)
    assert len(warm.rows) == 1


@covers("api/sweep.py", "or continue the sweep in it: ", "with the same settings first, as in sweep.rerun(")
def test_what_is_refused_makes_nothing_and_says_what_to_do(sweep, tmp_path):
    with pytest.raises(SweepError, match="exists; name a new folder, or continue the sweep in it: ") as caught:
        iafsweep.launch(space(), sweep.path, **OFF)
    eval(str(caught.value).rpartition("in it: ")[2].replace("()", "(progress='off')"))
    before = sorted(tmp_path.iterdir())
    for call, message in (
        (lambda: iafsweep.launch(space(), tmp_path / "my sweep", **OFF), "letters, digits"),
        (lambda: iafsweep.launch("nowhere.toml", tmp_path / "new", **OFF), "no such configuration: nowhere.toml"),
        (
            lambda: iafsweep.launch(space(), tmp_path / "new", settings={"cpus_per_trial": 999}, **OFF),
            "asks for 999 CPU",
        ),
        (
            lambda: iafsweep.launch(space(), tmp_path / "new", settings={"trials": 0}, **OFF),
            "trials: must be at least 1",
        ),
        (lambda: iafsweep.launch(space(), tmp_path / "new", progress="on"), "progress must be"),
        (lambda: sweep.extend(0, **OFF), "at least 1, got 0"),
        (lambda: sweep.retrain(seeds=1, **OFF), "seeds >= 2"),
        (lambda: sweep.retry("lost", **OFF), "name one of oom, failed, diverged"),
        (lambda: sweep.rerun(top=0, **OFF), "nothing to score"),
        (lambda: sweep.rerun(settings={"evaluation.checkpoint": "last"}, **OFF), "do not belong on its leaderboard"),
        (lambda: iafsweep.load_sweep(tmp_path), "is not a sweep folder"),
    ):
        with pytest.raises(iafsweep.UserError, match=message):
            call()
    assert sorted(tmp_path.iterdir()) == before
    sweep.rerun(trials=["t0001"], samples=5, images=6, settings={"evaluation.bound_images": 6}, **OFF)
    sweep.rerun(trials=["t0002"], samples=6, images=6, settings={"evaluation.bound_images": 7}, **OFF)
    for trial in ("t0001", "t0002"):  # each with settings of its own alone
        path = SweepFolder(sweep.path).trial(trial) / "per_image.parquet"
        table = pd.read_parquet(path)
        table[table["settings"].isin(["5 samples", "6 samples"])].to_parquet(path)
    with pytest.raises(
        iafsweep.UserError, match=r"score both with the same settings first, as in sweep\.rerun"
    ) as caught:
        sweep.compare("t0001", "t0002")
    eval(str(caught.value).rpartition("as in ")[2].replace("1000)", "9, images=6, progress='off')"))
    assert set(sweep.compare("t0001", "t0002")["settings"]) == {"9 samples", "1 sample"}


def ends_as(monkeypatch, status, **more):
    """Let the training of a sweep end early, as a driver would."""

    def run(session, nodes):
        session.ledger.append(Ended(outcome=status, time="t"))
        return SweepOutcome(status, session.ledger.state, **more)

    monkeypatch.setattr(Session, "run", run)


@covers("api/sweep.py", ".resume()")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_raised_when_all_is_saved_and_says_how_to_go_on(cli, training, tmp_path, monkeypatch, number):  # noqa: F811
    train = Session.run
    ends_as(monkeypatch, "interrupted", signal=number)
    heard = []
    signal.signal(signal.SIGTERM, lambda *arguments: heard.append(arguments[0]))  # `cli` puts it back
    with pytest.raises(BaseException, match="all training so far is saved; to continue: ") as caught:  # noqa: PT011
        iafsweep.launch(space(), tmp_path / "sweep", **OFF)
    assert caught.type.__name__ == {signal.SIGINT: "KeyboardInterrupt", signal.SIGTERM: "Terminated"}[number]
    assert heard == [number] * (number == signal.SIGTERM)
    assert ended(tmp_path / "sweep") == []
    monkeypatch.setattr(Session, "run", train)
    eval(str(caught.value).rpartition("to continue: ")[2].replace("()", "(progress='off')"))
    assert ended(tmp_path / "sweep") == ["completed"] * 2


def test_who_is_asked_to_stop_returns_and_trial_after_trial_failing_raises(cli, training, tmp_path, monkeypatch):  # noqa: F811
    ends_as(monkeypatch, "interrupted")
    assert iafsweep.launch(space(), tmp_path / "stopped", **OFF).rows == ()
    ends_as(monkeypatch, "aborted", error="Traceback\nValueError: no")
    with pytest.raises(SweepError, match=r"in the same place, so the sweep has stopped(?s:.)*ValueError: no"):
        iafsweep.launch(space(), tmp_path / "aborted", **OFF)


@covers("api/news.py", "resume=True")
def test_a_disk_that_fills_is_one_message(cli, training, tmp_path, monkeypatch):  # noqa: F811
    def full(session, nodes):
        raise OSError(28, "No space left on device")

    train = Session.run
    monkeypatch.setattr(Session, "run", full)
    with pytest.raises(
        iafsweep.UserError, match=r"No space left on device(?s:.)*then continue:\n  iafsweep.load_sweep"
    ) as caught:
        iafsweep.launch(space(), tmp_path / "sweep", **OFF)
    monkeypatch.setattr(Session, "run", train)
    eval(str(caught.value).rpartition("then continue:\n")[2].strip().replace("()", "(progress='off')"))
    monkeypatch.setattr("iafsweep.training.Trainer.run_epoch", lambda *arguments: full(None, None))
    config = BASE.with_values({"training.epochs": 1})
    with pytest.raises(iafsweep.UserError, match="No space left") as caught:
        iafsweep.train(config, tmp_path / "run", device="cpu", **OFF)
    monkeypatch.undo()
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    remedy = str(caught.value).rpartition("then continue:\n")[2].strip()
    assert eval(remedy.replace("=True)", "=True, device='cpu', progress='off')")).epoch == 1


def test_a_problem_of_scoring_is_a_warning_where_nobody_looks(sweep):
    (sweep.path / "trials" / "t0001" / "best.pt").write_bytes(b"")
    with pytest.warns(UserWarning, match="t0001 cannot be scored"):
        sweep.rerun(top=1, samples=9, **OFF)


def test_it_is_shown_in_a_few_lines_and_nothing_in_it_is_html(sweep):
    assert len(repr(sweep).splitlines()) <= 5
    assert "Which depth? 2 trials, 2 completed" in repr(sweep)
    sweep.title = "<b>bold"
    assert "&lt;b&gt;bold" in sweep._repr_html_()
    assert "<b>" not in sweep._repr_html_()
    assert sweep._repr_html_().count("<tr>") == 3


def test_the_study_is_that_of_the_ledger(sweep):
    study, state = sweep.study(), read_sweep(SweepFolder(sweep.path)).state
    assert [trial.user_attrs["trial"] for trial in study.trials[1:]] == [trial.trial for trial in state.trials]
    assert [trial.value for trial in study.trials[1:]] == [trial.finished.best_value for trial in state.trials]
    assert study.best_trial.params == state.trials[0].proposed.parameters
    study.enqueue_trial({"model.flow.depth": 1})
    assert len(study_of(read_sweep(SweepFolder(sweep.path))).trials) == len(state.trials) + 1


def test_plots_of_optuna(sweep):
    pytest.importorskip("plotly")
    import optuna.visualization

    assert optuna.visualization.plot_optimization_history(sweep.study()).data


def test_arrays_go_on_from_a_file_with_the_same_images_alone(cli, training, tmp_path, monkeypatch):  # noqa: F811
    random = np.random.default_rng(0)
    mine, other = (random.integers(0, 2, (1500, 28, 28), dtype=np.uint8) for _ in range(2))
    base = BASE.with_values({"data.validation_images": None})
    made = iafsweep.SearchSpace(base=base, search=SEARCH, trials=1, sweep=SETTINGS | {"top": 0})
    images = iafsweep.Images(train=mine)
    found = iafsweep.launch(made, tmp_path / "sweep", images=images, **OFF)
    found.extend(1, **OFF)  # it knows them
    np.savez(tmp_path / "mine.npz", train=mine)
    np.savez(tmp_path / "other.npz", train=other)
    said = cli.sweep("extend", found.path, "--trials", "+1")
    assert (said.code, "name them with --data-path" in said.err.replace("\n", " ")) == (2, True), said.err
    said = cli.sweep("extend", found.path, "--trials", "+1", "--data-path", "other.npz")
    assert (said.code, "the images have changed" in said.err) == (2, True)
    assert cli.sweep("extend", found.path, "--trials", "+1", "--data-path", "mine.npz").code == 0
    again = iafsweep.load_sweep(found.path, images=images).extend(1, **OFF)
    assert len(again.rows) == 4
    with pytest.raises(iafsweep.UserError, match="the images have changed"):
        iafsweep.load_sweep(found.path, images=iafsweep.Images(train=other)).extend(1, **OFF)


ON_ITS_OWN = """
import signal, os, sys, threading
import iafsweep
from iafsweep.config import load_config
from pathlib import Path

home = Path(sys.argv[1])
base = load_config(home / "base.toml")
space = iafsweep.SearchSpace(base=base, search={"model.flow.depth": iafsweep.integers(0, 1)}, trials=2, sweep={
    "sampler": "grid", "scheduler": "none", "max_concurrent": 1, "top": 1})

def state():
    told = {name: value for name, value in os.environ.items() if name.startswith(("RAY", "TUNE", "CUDA", "OMP"))}
    return [signal.getsignal(each) for each in (2, 15, 1)], told

before = state()
iafsweep.launch(space, home / "ours", progress="off")
assert state() == before, set(before[1].items()) ^ set(state()[1].items())
ended = []
thread = threading.Thread(target=lambda: ended.append(iafsweep.launch(space, home / "thread", progress="off")))
thread.start()
thread.join()
assert len(ended[0].rows) == 2
assert state() == before
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_launched_twice_in_a_process_of_its_own_with_the_figures_of_the_command(tmp_path):
    (tmp_path / "base.toml").write_text(dump_config(BASE.with_values({"training.batch_size": 500})))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", ON_ITS_OWN, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=900)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    base = iafsweep.load_config(tmp_path / "base.toml")
    made = iafsweep.SearchSpace(
        base=base, search={"model.flow.depth": iafsweep.integers(0, 1)}, trials=2,
        sweep={"sampler": "grid", "scheduler": "none", "max_concurrent": 1, "top": 1},
    )  # fmt: skip
    made.save(tmp_path / "mine.toml")
    words = [sys.executable, str(ROOT / "run_sweep.py"), "launch", "mine.toml", "--name", "theirs", "--runs", "."]
    done = subprocess.run(
        words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for name in ("ours", "thread", "theirs"):
        folder = SweepFolder(tmp_path / name)  # noqa: F811
        state = read_sweep(folder).state
        trials = [(each.proposed, each.finished) for each in state.trials]
        figures = [
            (each.trial, each.number, each.parameters, each.seed, each.key, end.status, end.epochs, end.best_value)
            for each, end in trials
        ]
        evaluation = [estimate.nll for estimate in iafsweep.load_sweep(folder.path).best("cpu").evaluation.estimates]
        found[name] = figures, evaluation, folder.space.read_text(), sorted(each.name for each in folder.path.iterdir())
    assert found["ours"] == found["thread"] == found["theirs"]


SIGNALLED = (
    ON_ITS_OWN.partition("before = state()")[0]
    + """
import time

def interrupt():
    trials = home / "ours" / "trials"
    while not list(trials.glob("*/metrics.jsonl")):
        time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
before = state()
try:
    iafsweep.launch(space, home / "ours", progress="off")
except KeyboardInterrupt as caught:
    assert "is saved; to continue" in str(caught)
    assert state() == before
    assert len(iafsweep.load_sweep(home / "ours").resume(progress="off").rows) == 2
    print("went on")
"""
)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ctrl_c_saves_running_trials_and_the_same_program_goes_on(tmp_path):
    (tmp_path / "base.toml").write_text(dump_config(BASE.with_values({"training.epochs": 40})))
    words = [sys.executable, "-c", SIGNALLED, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=1200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")
