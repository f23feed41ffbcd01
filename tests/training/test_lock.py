"""One writer a run folder, by real processes."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from iafsweep.errors import RunFolderError
from iafsweep.locks import holder_of
from iafsweep.training import RunFolder

HOLD = """
import sys, time
from pathlib import Path
from iafsweep.training import RunFolder
with RunFolder(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_and_a_killed_one_does_not_block(tmp_path):
    folder = RunFolder(tmp_path / "run")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, folder.path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunFolderError, match="run is in use by another process"), folder.held():
            pass
        assert folder.lock.exists()
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert folder.lock.exists()
    with folder.held():
        folder.refuse_used()  # a lock alone is no run
    assert list(folder.path.iterdir()) == []


def test_what_was_made_for_the_lock_goes_with_it(tmp_path):
    with RunFolder(tmp_path / "a" / "b" / "run").held():
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with RunFolder(tmp_path / "mine" / "run").held() as _:
        (tmp_path / "mine" / "run" / "file").touch()
    with RunFolder(tmp_path / "mine").held():
        pass
    assert sorted(path.name for path in (tmp_path / "mine").rglob("*")) == ["file", "run"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file", "file is a file, but a run needs a folder"),
        ("file/run", "cannot write the run folder .*file/run: .*Not a directory"),
        ("dangling", "cannot write the run folder"),
        ("x" * 300, "cannot write the run folder .*File name too long"),
        ("/proc/run", "cannot write the run folder /proc/run"),
    ],
)
def test_folders_that_cannot_be(tmp_path, path, message):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "gone" / "away")
    with pytest.raises(RunFolderError, match=message), RunFolder(tmp_path / path).held():
        pass
    assert {each.name for each in tmp_path.iterdir()} == {"file", "dangling"}


def test_who_may_only_read_a_folder_is_told_that_it_is_in_use(tmp_path, monkeypatch):
    folder, real = RunFolder(tmp_path / "run"), os.open

    def read_only(path, flags, *mode, **given):
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *mode, **given)

    with folder.held():
        monkeypatch.setattr("iafsweep.locks.os.open", read_only)
        with pytest.raises(RunFolderError, match="run is in use by another process"), folder.held():
            pass
        assert holder_of(folder.lock) == f"process {os.getpid()} on {socket.gethostname()}"
    with pytest.raises(RunFolderError, match="cannot write the run folder .*Permission denied"), folder.held():
        pass
