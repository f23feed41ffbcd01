"""`run_sweep.py report`, and what the other commands leave behind."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import iafsweep.report
from iafsweep.api.results import publish_results
from iafsweep.api.shown.command import report_command
from iafsweep.cli.sweep import app
from iafsweep.cli.sweep_output import report_line
from iafsweep.errors import SweepError, UserError
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.report.sweeps import SweepMaker


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "run_sweep.py")])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    return SweepMaker(tmp_path / "runs" / "one").began().add(count=2).ended().folder


def test_the_command_writes_the_page_and_says_where(folder):
    done = CliRunner().invoke(app, ["report", "runs/one"], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"Report: {folder.report}" in done.output
    assert ".venv/bin/python run_sweep.py report runs/one" in folder.report.read_text()
    assert str(Path.cwd()) not in folder.report.read_text()


def test_the_command_that_makes_it_again_has_no_absolute_path(folder, monkeypatch):
    assert report_command(folder.path) == [".venv/bin/python", "run_sweep.py", "report", "runs/one"]
    monkeypatch.chdir(folder.path)  # script and environment are outside
    assert report_command(folder.path) == ["iafsweep-sweep", "report", "one"]
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/iafsweep-sweep"])
    assert report_command(folder.path.parent / "two words")[:2] == ["iafsweep-sweep", "report"]


def test_the_command_that_makes_it_again_has_no_users_name(folder, monkeypatch):
    from iafsweep.report import private

    monkeypatch.setattr(private, "_names", lambda: ("runs",))
    assert report_command(folder.path)[-1] == "one"


def test_no_sweep_is_one_message(tmp_path):
    with pytest.raises(SweepError, match="not a sweep folder"):
        CliRunner().invoke(app, ["report", str(tmp_path)], catch_exceptions=False)


def test_a_page_that_cannot_be_written_is_one_message(folder):
    folder.report.mkdir()
    with pytest.raises(UserError, match="cannot write the report"):
        CliRunner().invoke(app, ["report", "runs/one"], catch_exceptions=False)


def test_a_fault_of_the_report_does_not_cost_a_sweep_its_end(folder, monkeypatch):
    def fail(*given):
        raise ZeroDivisionError("a bug in a figure")

    monkeypatch.setattr(iafsweep.report, "write_report", fail)
    said = report_line(publish_results(read_sweep(folder), report_command(folder.path)))
    assert "No report was written (a bug in a figure)" in said
    assert "report runs/one" in said
