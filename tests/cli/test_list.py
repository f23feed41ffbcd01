"""`list`: what each sweep of a folder is, which cannot be read, and how it stands where there is little room."""

import io
import os
import shutil

import pytest
from rich.console import Console

from iafsweep.cli.commands.reading.list import show_sweeps
from iafsweep.cli.options.sweep import trials_or_sweeps
from iafsweep.errors import SweepError
from iafsweep.results import listing
from iafsweep.results.listing import state_of, sweeps_in
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.report.sweeps import SweepMaker, driver_at_work
from tests.several import begun, rewrite


@pytest.fixture
def runs(tmp_path):
    """Two sweeps, the later one in front by name, beside what is none."""
    folder = tmp_path / "runs"
    SweepMaker(folder / "a-2", title="Which flow?", trials=4).began().add(count=2).add("failed").ended("stopped")
    begun(SweepMaker(folder / "b-1", title="How deep?\n\x1b[31m").folder, "2026-01-01T23:30:00-01:00")
    (folder / "notes").mkdir()
    (folder / "plot.png").touch()
    (folder / "gone").symlink_to("nowhere")
    return folder


def said(folder, width=None):
    console = Console(file=io.StringIO(), width=width or 200, force_terminal=width is not None, color_system=None)
    show_sweeps(folder, console)
    return console.file.getvalue()


def test_a_row_a_sweep_the_oldest_first(runs):
    first, second = said(runs).splitlines()[3:5]
    best = read_sweep(SweepFolder(runs / "a-2")).state.best.finished.best_value
    assert first.split() == ["b-1", "not", "begun", "0/8", "-", "2026-01-02", "00:30", "How", "deep?", "[31m"]
    assert second.split()[:4] == ["a-2", "stopped", "3/4", f"{best:.2f}"]
    assert second.rstrip().endswith("2026-01-02 03:04  Which flow?")
    assert "All on mnist_mini, 1 x 28 x 28, bits (seed 0), 1000 held out (seed 0)." in said(runs)
    assert "\x1b" not in said(runs)


def test_what_cannot_be_read_is_named_with_the_reason(runs):
    for name, lost in (("c-1", "sweep.toml"), ("c-2", "trials.jsonl")):
        (SweepMaker(runs / name).folder.path / lost).unlink()
    shutil.copytree(runs / "a-2", runs / "c-3")
    ledger = runs / "c-3" / "trials.jsonl"
    ledger.write_text(ledger.read_text().replace('"row":"started"', '"row":', 1))
    (runs / "c-4").mkdir()
    (runs / "c-4" / "sweep.toml").write_text("[search")
    text = said(runs)
    named = [line.split()[0] for line in text.splitlines()[3:] if line.startswith(" ") and line.strip()]
    assert named == ["b-1", "a-2", "c-3"]
    problems = [line for line in text.splitlines() if line.startswith("c-")]
    assert [line.partition(":")[0] for line in problems] == [
        "c-1 is left out", "c-2 is left out", "c-3", "c-4 is left out",
    ]  # fmt: skip
    assert "has no sweep.toml" in problems[0]
    assert "trials.jsonl does not exist" in problems[1]
    assert "is damaged and left out" in problems[2]


def test_a_folder_that_may_not_be_looked_into_is_named(runs, monkeypatch):
    looked = listing._is_sweep

    def refused(path):
        if path.name == "notes":
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path)

    monkeypatch.setattr(listing, "_is_sweep", refused)
    assert "notes is left out: [Errno 13] Permission denied" in said(runs)


def test_bounds_of_unlike_images_are_told_apart(runs):
    other = SweepMaker(runs / "c-1").began().add().folder
    rewrite(other, data={"split_seed": 3})
    text = said(runs)
    first, second = (line for line in text.splitlines() if " a-2 " in line or " c-1 " in line)
    assert "t0001, images 1)" in first or "t0002, images 1)" in first
    assert "t0001, images 2)" in second
    assert "cannot be compared" in text
    assert "images 2: mnist_mini, 1 x 28 x 28, bits (seed 0), 1000 held out (seed 3)." in text


def test_images_of_levels_have_bits_per_dimension(runs):
    other = SweepMaker(runs / "c-1").began().add().folder
    rewrite(other, data={"binarisation": "none"})
    (line,) = (line for line in said(runs).splitlines() if " c-1 " in line)
    assert "bits/dim, t0001, images 2)" in line


def test_a_question_takes_the_room_that_is_left(runs):
    SweepMaker(runs / "c-1", title="Which " + "long " * 30 + "question?").began().add()
    for width in (80, 100):
        lines = said(runs, width).splitlines()
        assert max(map(len, lines)) <= width
        (line,) = (line for line in lines if " c-1 " in line)
        assert line.rstrip().endswith("…")
        assert "Which long" in line
    narrow = said(runs, 60)
    assert max(map(len, narrow.splitlines())) <= 60
    assert "Columns left out: question." in narrow
    assert "long question?" in said(runs)  # of a pipe, whole


def test_one_sweep_of_its_own_and_none(runs, tmp_path):
    assert " a-2 " in said(runs / "a-2")
    assert " b-1 " not in said(runs / "a-2")
    assert said(runs / "notes") == f"No sweep in {runs / 'notes'}.\n"
    for path, why in ((tmp_path / "nowhere", "No such file"), (runs / "plot.png", "Not a directory")):
        with pytest.raises(SweepError, match=f"cannot read .*{path.name}: {why}.*; name the folder that holds sweeps"):
            said(path)


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda sweep: sweep, "not begun"),
        (lambda sweep: sweep.began().add(), "killed"),
        (lambda sweep: sweep.began().add(count=2).ended(), "completed"),
        (lambda sweep: sweep.began().add().ended(), "unfinished"),  # opened again, and nothing was trained since
        (lambda sweep: sweep.began().add().ended("interrupted"), "interrupted"),
        (lambda sweep: sweep.began().add().ended("exhausted"), "exhausted"),
    ],
)
def test_states(tmp_path, make, state):
    folder = make(SweepMaker(tmp_path / "s", trials=2)).folder
    assert state_of(read_sweep(folder)) == state


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda sweep: sweep, "starting"),
        (lambda sweep: sweep.began(), "training"),
        (lambda sweep: sweep.began().add(count=2).ended(), "scoring"),
    ],
)
def test_states_of_those_that_run(tmp_path, make, state):
    folder = make(SweepMaker(tmp_path / "s", trials=2)).folder
    with driver_at_work(folder):
        (found,) = sweeps_in(tmp_path).sweeps
        assert state_of(found) == state


def test_no_run_folder_is_read(runs):
    shutil.rmtree(runs / "a-2" / "trials")
    assert "3/4" in said(runs)


def test_shells_complete_sweeps_behind_the_first(runs, tmp_path, monkeypatch):
    class Line:
        params = {"folder": runs / "a-2"}

    monkeypatch.chdir(tmp_path)
    assert trials_or_sweeps(Line, "t") == ["t0001", "t0002"]
    assert trials_or_sweeps(Line, f"runs{os.sep}") == ["runs/a-2", "runs/b-1"]
    assert trials_or_sweeps(Line, "runs/[") == []
