"""A terminal that goes away: what runs in it saves and ends, unless it was told to ignore that."""

import os
import pty
import signal
import subprocess
import sys

import pytest

SAVES = """
import sys, time
from pathlib import Path
from iafsweep.signals import between_steps
from iafsweep.signals import HungUp
try:
    with between_steps() as check:
        for step in range(1000):
            time.sleep(0.05)
            print(step, flush=True)
            check()
except HungUp:
    print("saving", flush=True)
    Path(sys.argv[1]).write_text("saved")
    sys.exit(129)
"""


def run(code, path, *, ignored):
    """Start code in a terminal of its own, take that away when something stands there, and return the exit code."""
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        os.execve(sys.executable, [sys.executable, "-c", code, str(path)], os.environ)
    os.read(terminal, 1)  # the first step is done
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def test_the_work_is_saved_when_the_terminal_goes(tmp_path):
    assert run(SAVES, tmp_path / "file", ignored=False) == 129
    assert (tmp_path / "file").read_text() == "saved"


@pytest.mark.parametrize(("ignored", "code"), [(True, 0), (False, 129)])
def test_nohup_is_heeded(ignored, code):
    wrapped = (
        "import os, signal; from iafsweep.signals import leave_at_once; leave_at_once();"
        "os.kill(os.getpid(), signal.SIGHUP)"
    )
    begin = ["sh", "-c", 'trap "" HUP; exec "$0" "$@"'] if ignored else []
    done = subprocess.run([*begin, sys.executable, "-c", wrapped], capture_output=True, check=False)
    assert done.returncode == code
