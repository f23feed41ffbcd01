import shutil

import pandas as pd
import pytest
import torch
from rich.console import Console

import iafsweep
from iafsweep.errors import RunFolderError, SweepError, UserError
from iafsweep.results.publish import publish
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.training import RunFolder
from tests.finished import finish_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return finish_sweep(tmp_path_factory.mktemp("runs") / "depths")


def test_the_leaderboard_is_the_csv_with_types(folder, tmp_path):
    sweep = iafsweep.load_sweep(folder.path)
    board = sweep.leaderboard
    publish(read_sweep(folder), tmp_path / "board.csv")
    written = pd.read_csv(tmp_path / "board.csv")
    assert list(board.columns) == list(written.columns)
    assert list(board["trial"]) == list(written["trial"]) == ["t0001", "t0002", "t0004", "t0003"]
    assert [None if pd.isna(rank) else rank for rank in board["rank"]] == [1, 2, None, None]
    for name, expected in {
        "rank": "Int64", "trial": "string", "status": "string", "epochs": "Int64", "parameters": "Int64",
        "model.flow.made.width": "Int64", "training.learning_rate": "float64", "validation_negative_elbo": "float64",
        "nll_importance_sampling": "float64", "nll_importance_sampling_samples": "Int64", "pareto": "boolean",
        "error": "string",
    }.items():  # fmt: skip
        assert str(board[name].dtype) == expected, name
    assert board["nll_importance_sampling"].tolist()[0] == 98.25
    assert board["nll_importance_sampling"].isna().tolist() == [False, True, True, True]
    assert pd.isna(board.set_index("trial").loc["t0002", "model.flow.made.width"])
    assert board["validation_negative_elbo"].min() == 101.0
    assert sweep.title == "Which depth?"
    assert sweep.parameters == ("model.flow.depth", "model.flow.made.width", "training.learning_rate")


def test_the_home_folder_is_meant_by_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.path.parent))
    assert iafsweep.load_sweep(f"~/{folder.path.name}").path == folder.path


def test_trials_are_runs(folder):
    sweep = iafsweep.load_sweep(str(folder.path))
    best = sweep.best("cpu")
    assert best.path.name == "t0001"
    assert best.config.model.flow.depth == 1
    assert sweep.run("t0002", "cpu").config.model.flow.depth == 0
    assert torch.equal(best.model.sample(3), sweep.run("t0001", "cpu").model.sample(3))


def test_mistakes(folder, tmp_path):
    sweep = iafsweep.load_sweep(folder.path)
    with pytest.raises(SweepError, match=r"has no trial 't0009'; it has t0001, t0002, t0003, t0004"):
        sweep.run("t0009")
    with pytest.raises(SweepError, match="has no trial"):
        sweep.run("../../first")
    with pytest.raises(RunFolderError, match="t0003 is not a run folder"):
        sweep.run("t0003")
    with pytest.raises(SweepError, match="is not a sweep folder"):
        iafsweep.load_sweep(tmp_path)
    empty = iafsweep.LoadedSweep(folder.path, "", (), ())
    with pytest.raises(SweepError, match="has no completed trial"):
        empty.best()
    assert len(empty.leaderboard) == 0
    assert issubclass(SweepError, UserError)


def test_the_command_exports_the_best_or_a_named_trial(folder, tmp_path, monkeypatch, capsys):
    from iafsweep.cli.sweep import main

    for words, depth in (([], 1), (["--trial", "t0002"], 0)):
        to = tmp_path / f"model-{depth}"
        monkeypatch.setattr("sys.argv", ["run_sweep.py", "export-model", str(folder.path), "--to", str(to), *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 0
        assert str(to) in capsys.readouterr().out
        assert iafsweep.load_run(to, "cpu").config.model.flow.depth == depth


def test_the_command_exports_a_model_with_damaged_figures_and_says_so(folder, tmp_path, monkeypatch, capsys):
    from iafsweep.cli.commands.reading.export_model import export_run, export_trial

    console = Console(width=200, soft_wrap=True)
    sweep = SweepFolder(shutil.copytree(folder.path, tmp_path / "sweep"))
    damaged = RunFolder(sweep.trial("t0001")).evaluation
    damaged.write_text("{")
    export_trial(sweep.path, None, tmp_path / "first", console)
    export_run(sweep.trial("t0001"), tmp_path / "second", console)
    said = capsys.readouterr().out
    assert said.count(f"The figures are left out: {damaged} is damaged") == 2
    assert said.count(f"iafsweep-sweep rerun {sweep.path} --trial t") == 2
    assert (tmp_path / "first" / "model.safetensors").exists()
