"""Places that are taken, that are none, or whose names no file system takes: one message, no traceback."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from iafsweep.api.launch import new_folder
from iafsweep.cli import single, sweep
from iafsweep.errors import SweepError

pytestmark = pytest.mark.faults
LONG = "n" * 300


def test_launches_at_one_moment_get_a_folder_each(tmp_path):
    def launch(_):
        with new_folder(tmp_path / "runs", None, "quick") as path:
            (path / "sweep.toml").touch()
            return path.name

    with ThreadPoolExecutor(8) as launches:
        names = list(launches.map(launch, range(24)))
    assert sorted(names) == sorted(f"quick-{number}" for number in range(1, 25))


def test_a_folder_in_which_nothing_came_to_stand_is_gone_again(tmp_path):
    with new_folder(tmp_path / "a" / "runs", "mine", "quick") as path:
        assert path.is_dir()
        with pytest.raises(SweepError, match="mine exists; choose another --name$"):
            with new_folder(tmp_path / "a" / "runs", "mine", "quick"):
                pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["launch", "mnist_smoke", "--runs", "file"],
            "cannot create a sweep folder in file: it is not a folder; choose",
        ),
        (["launch", "mnist_smoke", "--runs", "file/x"], "Not a directory; choose another --runs"),
        (["launch", "mnist_smoke", "--runs", "loop/x"], "Too many levels of symbolic links; choose another --runs"),
        (["launch", "mnist_smoke", "--runs", LONG], "File name too long; choose another --runs"),
        (["launch", LONG], "File name too long"),
        (["launch", "mnist_smoke", "--warm-start", LONG], "File name too long"),
        (["status", LONG], "File name too long; name another place"),
        (["status", "loop"], "is not a sweep folder"),
        (["status", "file"], "is not a sweep folder"),
        (["report", LONG], "File name too long"),
        (["export-model", "file", "--to", "models/x"], "is not a sweep folder"),
        (["export-model", "file", "--to", LONG], "File name too long"),
        (["preview", "./loop"], "Too many levels of symbolic links"),
        (["--run", "loop", "--resume"], "is not a run folder"),
        (["--run", LONG, "--evaluate-only"], "File name too long"),
        (["--run", LONG, "--export", "x"], "File name too long"),
        (["reference", "--run", "loop/x", "--set", "data.source=mnist_mini"], "Too many levels of symbolic links"),
        (["reference", "--run", "x", "--data-root", "~nobody-of-this-name/file/x" + LONG], "File name too long"),
    ],
    ids=lambda each: " ".join(each)[:40] if isinstance(each, list) else "",
)
def test_places_that_cannot_be_used(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("loop").symlink_to("loop")
    is_sweep = not words[0].startswith("--") and words[0] != "reference"
    monkeypatch.setattr(sys, "argv", ["run_sweep.py" if is_sweep else "run_single.py", *words])
    with pytest.raises(SystemExit) as end:
        (sweep if is_sweep else single).main()
    errors = capsys.readouterr().err
    assert (end.value.code, message in errors, "Traceback" in errors) == (2, True, False), errors
    assert not Path("runs").exists()


def test_a_name_that_is_no_text_for_those_who_need_one(tmp_path, monkeypatch, capsys):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    words = ["run_single.py", "reference", "--run", name, "--set", "data.source=mnist_mini"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        single.main()
    errors = capsys.readouterr().err
    assert (end.value.code, "has bytes that are no text in this locale" in errors) == (2, True), errors
