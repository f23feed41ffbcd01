"""What a hurried user gets wrong in Python: one message before anything is made, never another meaning in silence."""

import re
from pathlib import Path

import numpy as np
import pytest

import iafsweep
from iafsweep.errors import UserError
from tests.api.test_launch import space
from tests.api.test_run import folder  # noqa: F401 - a fixture
from tests.api.test_train import ONE
from tests.finished import BASE, finish_sweep

ARRAY = np.zeros((300, 28, 28), np.uint8)
DEPTHS = {"model.flow.depth": iafsweep.integers(0, 1)}

MISTAKES = {
    "images that are no Images": (lambda path: iafsweep.train(ONE, path, images=ARRAY), "iafsweep.Images(train=array)"),
    "images of a sweep": (lambda path: iafsweep.launch(space(), path, images=ARRAY), "iafsweep.Images(train=array)"),
    "a name to train": (lambda path: iafsweep.train("quick", path), "a configuration is needed, got 'quick'"),
    "no base": (lambda path: iafsweep.SearchSpace(None, DEPTHS), "a configuration is needed, got None"),
    "no threads": (lambda path: iafsweep.train(ONE, path, threads=0), "threads must be a whole number"),
    "a configuration to launch": (lambda path: iafsweep.launch(ONE, path), "launch takes an iafsweep.SearchSpace"),
    "hours below 0": (lambda path: iafsweep.launch(space(), path, hours=-1), "hours must be a finite number above 0"),
    "hours in words": (lambda path: iafsweep.launch(space(), path, hours="1"), "hours must be a finite number above 0"),
    "no images": (lambda path: iafsweep.Images(train=None), "must be an array or a tensor, found NoneType"),
    "levels in words": (lambda path: iafsweep.Images(train=ARRAY, levels="2"), "levels must be a whole number"),
    "a misspelt setting": (
        lambda path: iafsweep.launch(space(), path, settings={"max_concurent": 1}),
        "[sweep] unknown key `max_concurent`: did you mean `max_concurrent`?",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_and_makes_nothing(tmp_path, mistake):
    attempt, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=re.escape(message)):
        attempt(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("asked", [{"hais": "posterior:5x2x4"}, {"method": "hais", "hais": "off"}])
def test_hais_is_not_left_out_or_run_in_silence(folder, asked):  # noqa: F811
    run = iafsweep.load_run(folder.path, device="cpu")
    with pytest.raises(UserError, match="for HAIS, use method='hais'"):
        run.log_likelihood(run.images("test", 2), **asked)


def test_hais_that_is_no_text_is_not_understood(folder):  # noqa: F811
    run = iafsweep.load_run(folder.path, device="cpu")
    with pytest.raises(UserError, match="hais True is not understood"):
        run.evaluate(hais=True, progress="off")


def test_a_run_of_a_relative_path_stays_what_it_is_where_the_folder_changes(folder, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.chdir(folder.path.parent)
    run = iafsweep.load_run(folder.path.name, device="cpu")
    monkeypatch.chdir(tmp_path)
    assert run.path == folder.path
    assert len(run.images("test", 2)) == 2
    assert (run.export("model") / "config.toml").is_file()


@pytest.mark.parametrize("asked", [{"top": 1.5}, {"top": "3"}, {"seeds": 2.5}])
def test_retraining_asks_for_whole_numbers(tmp_path, asked):
    sweep = iafsweep.LoadedSweep(tmp_path, "", (), ())
    with pytest.raises(UserError, match="retrain needs whole numbers"):
        sweep.retrain(**asked)


def test_one_sweep_need_not_be_a_list(tmp_path):
    path = finish_sweep(tmp_path / "sweep").path
    whole = iafsweep.combined_leaderboard([path])
    for one in (path, str(path), iafsweep.load_sweep(path)):
        assert iafsweep.combined_leaderboard(one).equals(whole)


def test_a_title_has_no_escape_sequence_in_a_repr():
    named = iafsweep.SearchSpace(BASE.with_values({"title": "a\x1b[31mred"}), DEPTHS, sweep={"scheduler": "none"})
    assert "\x1b" not in repr(named) + repr(iafsweep.LoadedSweep(Path("runs"), "a\x1b[31mred", (), ()))
