"""A sweep that one may only read: what is asked for is written elsewhere, and nothing into its folder."""

import re
import subprocess
import sys

import pytest

from iafsweep.cli import sweep
from tests.finished import finish_sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("shared") / "sweep"
    finish_sweep(path)
    return path


@pytest.fixture
def mounted(folder, tmp_path):
    """The folder behind a mount that nobody, root included, may write through."""
    path = tmp_path / "mounted"
    path.mkdir()
    mount = subprocess.run(["mount", "--bind", folder, path], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"nothing can be mounted here: {mount.stderr.strip()}")
    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["run_sweep.py", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        sweep.main()
    return end.value.code or 0


def contents(folder):
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["status", "DIR"], None),
        (["list", "DIR"], None),
        (["logs", "DIR", "t0001"], None),
        (["export", "DIR", "--csv", "board.csv"], "board.csv"),
        (["report", "DIR", "--to", "page.html"], "page.html"),
    ],
)
def test_reading_commands_write_nothing_into_the_folder(folder, mounted, tmp_path, monkeypatch, capsys, words, written):
    monkeypatch.chdir(tmp_path)
    before = contents(folder)
    assert run(monkeypatch, *(str(mounted) if word == "DIR" else word for word in words)) == 0
    assert contents(folder) == before
    assert written is None or (tmp_path / written).stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export"], "cannot write the leaderboard: .*Read-only file system.* use --csv"),
        (["report"], "cannot write the report: .*Read-only file system.* name another place with --to"),
        (["report", "--to", "DIR/page.html"], "lies in the sweep folder"),
        (["report", "--to", "x.html", "--serve"], "leave one of them out"),
    ],
)
def test_what_cannot_be_written_there_is_said_with_the_way_out(mounted, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    command, *options = words
    assert run(monkeypatch, command, mounted, *(word.replace("DIR", str(mounted)) for word in options)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(message, said), said


def test_the_page_goes_to_standard_output_and_nothing_else(mounted, monkeypatch, capfd):
    assert run(monkeypatch, "report", mounted, "--to", "-") == 0
    out = capfd.readouterr().out
    assert out.startswith("<!")
    assert out.rstrip().endswith("</html>")
