"""Terminals, pipes and files that take no Unicode: everything ends as it would, and says what it can."""

import errno
import os
import subprocess
import sys

import pytest
from rich.console import Console

from iafsweep.api.results import publish_results
from iafsweep.cli.console import _in_ascii
from iafsweep.cli.sweep_output import print_results
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.cli.tiny_run import ROOT, WITHOUT_HAIS
from tests.finished import finish_sweep

pytestmark = pytest.mark.faults
OLD_CONTAINER = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def run(script, *words, **environment):
    done = subprocess.run(
        [sys.executable, ROOT / script, *words],
        capture_output=True,
        env={**os.environ, "COLUMNS": "200", **environment},
        timeout=240,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return finish_sweep(tmp_path_factory.mktemp("sweep") / "s")


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "latin-1"}, OLD_CONTAINER])
def test_help_is_shown_in_any_encoding(environment):
    code, out, _ = run("run_sweep.py", "launch", "--help", **environment)
    assert (code, "* run_sweep.py launch quick runs" in out) == (0, True)


@pytest.mark.slow
def test_a_run_ends_well_and_prints_its_figures(tmp_path):
    config, folder = tmp_path / "tiny.toml", tmp_path / "run"
    config.write_text(WITHOUT_HAIS)
    words = ("--set", "training.epochs=1", "--set", "training.kl_warmup_epochs=0", "--threads", "1")
    code, out, errors = run("run_single.py", config, "--run", folder, *words, **OLD_CONTAINER)
    assert (code, " +- " in out) == (0, True), out + errors
    assert (folder / "evaluation.json").exists()


def test_a_leaderboard_is_exported_and_printed_in_ascii_from_a_folder_of_any_name(sweep):
    link = os.fsencode(sweep.path.parent) + b"/\xc3\xa9\xff"
    os.symlink(sweep.path, link)
    code, out, _ = run("run_sweep.py", "export", link, PYTHONIOENCODING="ascii:strict")
    assert (code, " +- " in out, "/e\\xff/leaderboard.csv" in out) == (0, True, True)


def test_what_a_character_becomes():
    assert [_in_ascii(each) for each in "±ö\udcff…語"] == ["+-", "o", "\\xff", "...", "?"]


def test_files_are_written_before_anything_is_printed(sweep):
    """Whatever ends the printing."""

    class Gone:
        def write(self, text):
            raise OSError(errno.EIO, "the terminal has gone")

        def isatty(self):
            return True

    for file in (sweep.report, sweep.leaderboard_csv):
        file.unlink(missing_ok=True)
    with pytest.raises(OSError, match="terminal"):
        print_results(Console(file=Gone(), width=80), publish_results(read_sweep(sweep), ("report", "s")))
    assert (sweep.report.exists(), sweep.leaderboard_csv.exists()) == (True, True)
