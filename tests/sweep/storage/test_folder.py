import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import pytest

from iafsweep.errors import RunFolderError, SweepError, UserError
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.training import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    return folder


@pytest.mark.parametrize("name", ["..", "t1", "/etc", "t0001/../..", "", "t0001\n"])
def test_names_of_trials_cannot_leave_the_folder(folder, name):
    with pytest.raises(SweepError, match="is not the name of a trial"):
        folder.trial(name)


@pytest.mark.parametrize("name", ["..", "../x", "/etc/passwd", ".hidden", "", "a/b", "a\n"])
def test_names_of_results_cannot_leave_the_folder(folder, name):
    with pytest.raises(SweepError, match="is not a valid name for a result file"):
        folder.result(name)


@pytest.mark.parametrize(
    "path", ["sweep/trials.jsonl", "sweep/new/x.csv", "other/../sweep/trials.jsonl", "link/x.csv", "file.csv", "sweep"]
)
def test_no_command_writes_into_the_sweeps_own_files(folder, tmp_path, path, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(folder.path)
    (tmp_path / "file.csv").symlink_to(folder.ledger)
    monkeypatch.chdir(tmp_path)
    for own in (folder, SweepFolder(tmp_path / "link")):
        for way in (path, tmp_path / path):
            with pytest.raises(UserError, match=r"--csv .* lies in the sweep folder .*; choose a place outside it"):
                own.refuse_inside(Path(way), "--csv")
    folder.refuse_inside(tmp_path / "sweep-2.csv", "--csv")
    folder.refuse_inside(tmp_path / "other" / "x.csv", "--csv")


def test_second_driver_is_refused_and_told_who_holds_the_folder(folder):
    with folder.lock():
        with pytest.raises(SweepError, match=f"in use by another driver .process {os.getpid()} on"):
            with folder.lock():
                pass
    with folder.lock():
        pass


def test_a_folder_one_may_not_write_is_one_message(folder, monkeypatch):
    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("iafsweep.locks.os.open", refuse)
    with pytest.raises(SweepError, match="cannot lock .*Permission denied"):
        with folder.lock():
            pass
    with pytest.raises(SweepError, match="cannot read .*Permission denied"):
        folder.driver()


def test_lock_of_a_killed_driver_is_free(folder):
    code = (
        "import os, signal, sys; from iafsweep.sweep.storage.folder import SweepFolder\n"
        "with SweepFolder(sys.argv[1]).lock(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=False)
    with folder.lock():
        pass


def test_run_folder_has_one_writer(folder):
    with folder.trial_lock("t0001"):
        with pytest.raises(OSError, match="still in use"):
            with folder.trial_lock("t0001"):
                pass
        with folder.trial_lock("t0002"):
            pass


def test_a_run_folder_that_is_given_away_soon_is_waited_for(folder):
    with ExitStack() as held:
        held.enter_context(folder.trial_lock("t0001"))
        Timer(0.15, held.close).start()
        with folder.trial_lock("t0001", seconds=20):
            pass


def test_a_trial_and_a_run_of_ones_own_never_hold_a_folder_at_once(folder):
    run = RunFolder(folder.trial("t0001"))
    with folder.trial_lock("t0001"):
        with pytest.raises(RunFolderError, match="in use by another process"), run.held():
            pass
    with run.held():
        with pytest.raises(OSError, match="still in use"), folder.trial_lock("t0001"):
            pass
    assert not run.path.exists()  # nothing was put into it


def test_a_folder_that_is_put_aside_takes_its_lock_along_and_leaves_the_name_free(folder):
    folder.trial("t0001").mkdir()
    (folder.trial("t0001") / "last.pt").touch()
    with ThreadPoolExecutor(1) as pool, folder.trial_lock("t0001"):
        waiting = pool.submit(folder.put_aside, "t0001")
        time.sleep(0.15)
        assert not waiting.done()
        folder.trial("t0001").rename(folder.trials / "moved")  # as a copy in its place does
        (folder.trials / "moved").rename(folder.trial("t0001"))
    assert [path.name for path in folder.trials.rglob("*")] == ["t0001.old-1", "last.pt"]
