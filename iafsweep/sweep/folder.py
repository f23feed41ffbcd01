"""Names and paths in a sweep folder, and the lock that keeps a second driver out."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iafsweep.errors import SweepError

_TRIAL = re.compile(r"t\d{4,9}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


class SweepFolder:
    """The folder of one sweep.

    ``sweep.toml`` the space as it was launched · ``trials.jsonl`` the ledger · ``trials/<trial>/`` run folders ·
    ``rerun/`` results of the rerun, a file a unit · ``leaderboard.csv``, ``leaderboard.md``, ``best.toml`` ·
    ``sweep.log`` · ``driver.lock``. Names that come from files are checked before they become paths.

    Args:
        path: the folder; made absolute.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.space = self.path / "sweep.toml"
        self.ledger = self.path / "trials.jsonl"
        self.trials = self.path / "trials"
        self.rerun = self.path / "rerun"
        self.leaderboard_csv = self.path / "leaderboard.csv"
        self.leaderboard_markdown = self.path / "leaderboard.md"
        self.best = self.path / "best.toml"
        self.log = self.path / "sweep.log"
        self.scratch = self.path / ".tune"
        self._driver_lock = self.path / "driver.lock"
        self._trial_locks = self.path / ".locks"

    def create(self) -> None:
        """Make the folder and those inside it; doing so twice is allowed."""
        for folder in (self.path, self.trials, self.rerun, self._trial_locks):
            folder.mkdir(parents=True, exist_ok=True)

    def trial(self, trial: str) -> Path:
        """Return the run folder of a trial.

        Raises:
            SweepError: ``trial`` is not a trial's name, such as ``t0001``.
        """
        if _TRIAL.fullmatch(trial) is None:
            raise SweepError(f"{trial!r} is no trial; trials are named t0001, t0002, ...")
        return self.trials / trial

    def result(self, name: str) -> Path:
        """Return the path of a file of the rerun.

        Raises:
            SweepError: ``name`` is not a plain file name.
        """
        if _FILE.fullmatch(name) is None:
            raise SweepError(f"{name!r} is no name of a result file; letters, digits and . _ + - only")
        return self.rerun / name

    def relative(self, path: Path) -> str:
        """Return ``path`` relative to the folder, as tables state it."""
        return path.absolute().relative_to(self.path).as_posix()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder as its one driver; the system lets go of it when the process ends, however it ends.

        Raises:
            SweepError: another process holds it.
        """
        with _locked(self._driver_lock) as holder:
            if holder is not None:
                raise SweepError(
                    f"{self.path} is in use by another driver ({holder}); wait for it or stop it, then try again"
                )
            yield

    @contextmanager
    def trial_lock(self, trial: str) -> Iterator[None]:
        """Hold a trial's run folder as its one writer, also against a process that outlived its driver.

        Raises:
            OSError: another process holds it; it ends soon, so trying again helps.
        """
        with _locked(self._trial_locks / self.trial(trial).name) as holder:
            if holder is not None:
                raise OSError(f"the run folder of {trial} is still in use ({holder})")
            yield


@contextmanager
def _locked(path: Path) -> Iterator[str | None]:
    """Take a lock without waiting; yields None when it was free, else who holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield os.read(descriptor, 200).decode(errors="replace").strip() or "unknown process"
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield None
    finally:
        os.close(descriptor)
