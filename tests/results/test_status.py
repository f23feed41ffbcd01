"""Whether scoring is missing, from the ledger and the folders of the finalists alone."""

import pytest
from rich.console import Console

from iafsweep.cli.commands.reading.status import show_status
from iafsweep.results.status import status_of
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.training import RunFolder
from tests.report.sweeps import SweepMaker, contents_of, driver_at_work

pytestmark = pytest.mark.faults


def status(folder):
    console = Console(record=True, width=200, highlight=False)
    show_status(folder.path, console)
    return console.export_text()


def report(folder):
    found = contents_of(folder).standing
    return found.level, found.word, found.text


def by_bound(maker):
    """The completed trials, the best first."""
    return [row.trial for row in contents_of(maker.folder).trials if row.status == "completed"]


def test_scoring_that_was_interrupted_is_told_with_the_command_that_ends_it(tmp_path, capsys):
    maker = SweepMaker(tmp_path / "s", trials=5).began().add(count=4).add("stopped").ended()
    first, second, third, _ = by_bound(maker)
    maker.score(first)
    assert status_of(read_sweep(maker.folder)).unscored == (second, third)  # the fourth is none of the best three
    said = status(maker.folder)
    assert "training ended as completed" in said
    command = sweep_command("rerun", maker.folder.path)
    assert f"not scored: {second}, {third}; to score: {command}" in said
    assert "to go on" not in said
    level, _, sentence = report(maker.folder)
    assert (level, sentence) == (
        "doubtful", f"All trials have ended. Best trials not scored yet: {second}, {third}; rerun scores them."
    )  # fmt: skip
    RunFolder(maker.folder.trial(third)).evaluation.write_text("{")
    assert f"not scored: {second}, {third} (its evaluation.json is damaged); to score: " in status(maker.folder)
    RunFolder(maker.folder.trial(third)).evaluation.unlink()
    with driver_at_work(maker.folder):
        assert f"not scored yet: {second}, {third}\n" in status(maker.folder)
        assert report(maker.folder)[2].endswith("All trials have ended; the best are being scored.")
    maker.score(second, third)
    assert status_of(read_sweep(maker.folder)).unscored == ()
    assert "not scored" not in status(maker.folder)
    assert report(maker.folder) == ("good", "completed", "All trials have ended.")


@pytest.mark.parametrize(
    ("ended", "trials", "unscored"),
    [
        (("completed",), 2, True),
        (("exhausted",), 8, True),
        (("stopped", "1 hour is used up"), 8, True),
        (("interrupted",), 8, False),
        (("interrupted",), 2, True),  # behind the last trial
        (("aborted",), 8, False),
        (None, 8, False),
        (None, 2, True),  # killed behind the last trial
    ],
)
def test_scoring_is_missing_once_it_had_its_turn(tmp_path, capsys, ended, trials, unscored):
    maker = SweepMaker(tmp_path / "s", trials=trials).began().add(count=2)
    if ended:
        maker.ended(*ended)
    assert bool(status_of(read_sweep(maker.folder)).unscored) == unscored
    assert ("to score: " in status(maker.folder)) == unscored
    assert ("to go on: " in status(maker.folder)) == (trials == 8 and ended != ("exhausted",))
    assert ("rerun scores them" in report(maker.folder)[2]) == unscored
    assert "0 trials are left" not in report(maker.folder)[2]


@pytest.mark.parametrize("damage", ["{", '{"checkpoint": "best"}', ""])
def test_damaged_figures_are_none(tmp_path, damage):
    maker = SweepMaker(tmp_path / "s", trials=1).began().add().ended().score("t0001")
    RunFolder(maker.folder.trial("t0001")).evaluation.write_text(damage)
    assert status_of(read_sweep(maker.folder)).unscored == ("t0001",)


def test_a_trial_that_cannot_be_scored_leaves_its_place_to_the_next(tmp_path):
    maker = SweepMaker(tmp_path / "s", trials=4).began().add(count=4).ended()
    first, *others = by_bound(maker)
    maker.score(*others)
    RunFolder(maker.folder.trial(first)).best.unlink()
    assert status_of(read_sweep(maker.folder)).unscored == ()
    RunFolder(maker.folder.trial(others[2])).evaluation.unlink()
    assert status_of(read_sweep(maker.folder)).unscored == (others[2],)
