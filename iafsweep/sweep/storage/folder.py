"""Paths in a sweep folder, and the lock that keeps a second driver out."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from iafsweep.errors import SweepError
from iafsweep.locks import holder_of, locked
from iafsweep.run_files.run_folder import RunFolder

_TRIAL = re.compile(r"t\d{4,9}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")

_DRIVER_SECONDS = 0.3
"""A process that looks for a driver holds the lock for an instant; so a driver retries for this long."""

TRIAL_SECONDS = 20.0
"""How long to wait for a process that outlived its driver and still holds a trial's folder."""


class SweepFolder:
    """The folder of one sweep.

    ``sweep.toml`` the space as launched · ``trials.jsonl`` the ledger · ``trials/<trial>/`` run folders · ``rerun/``
    results of the rerun, one file per unit · ``leaderboard.csv``, ``leaderboard.md``, ``best.toml`` · ``report.html`` ·
    ``environment.jsonl`` what each driver ran on · ``sweep.log`` · ``driver.lock``.

    Names that come from files are checked before they become paths.
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
        self.report = self.path / "report.html"
        self.environment = self.path / "environment.jsonl"
        self.log = self.path / "sweep.log"
        self.scratch = self.path / ".tune"
        self.stop_request = self.path / ".stop"
        self.end_trials = self.path / ".end-trials"
        self._driver_lock = self.path / "driver.lock"
        self._stop_requests = self.path / ".locks"

    def create(self) -> None:
        """Make the folder and those inside it; may be called again."""
        for folder in (self.path, self.trials, self.rerun, self._stop_requests):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SweepError(
                    f"cannot create the sweep folder {folder}: {error}; choose another --runs folder"
                ) from error

    def trial(self, trial: str) -> Path:
        """Return the run folder of a trial.

        Raises:
            SweepError: ``trial`` is not a trial's name, such as ``t0001``.
        """
        if _TRIAL.fullmatch(trial) is None:
            raise SweepError(f"{trial!r} is not the name of a trial; trials are named t0001, t0002, ...")
        return self.trials / trial

    def refuse_unknown(self, trial: str, known: Sequence[str]) -> None:
        """Refuse a trial that is not among those known.

        Raises:
            SweepError: it is not; the message says which ones are.
        """
        if trial in known:
            return
        some = ", ".join(known) if len(known) <= 8 else f"{known[0]} to {known[-1]}, {len(known)} in all"
        raise SweepError(f"{self.path} has no trial {trial!r}; it has {some or 'none yet'}")

    def refuse_inside(self, path: Path, option: str) -> None:
        """Refuse an output path that lies in the sweep folder, also by way of links.

        Raises:
            SweepError: it is the folder or in it.
        """
        if Path(os.path.expanduser(path)).resolve().is_relative_to(self.path.resolve()):
            raise SweepError(
                f"{option} {path} lies in the sweep folder {self.path}, which holds only the sweep's own files; "
                f"choose a place outside it"
            )

    def trial_stop_request(self, trial: str) -> Path:
        """Return the file whose presence asks a trial to stop."""
        return self._stop_requests / f"stop-{self.trial(trial).name}"

    def take_stop_request(self, trial: str) -> bool:
        """Return whether a trial was asked to stop, and clear the request."""
        try:
            self.trial_stop_request(trial).unlink()
        except FileNotFoundError:
            return False
        return True

    def put_aside(self, trial: str) -> None:
        """Rename a trial's run folder to ``<trial>.old-1``, ``.old-2``, ..., so that the trial can start over."""
        path = self.trial(trial)
        if path.exists():
            names = (path.with_name(f"{trial}.old-{number}") for number in range(1, 10**6))
            aside = next(name for name in names if not name.exists())
            with self.trial_lock(trial, TRIAL_SECONDS):
                path.rename(aside)
                RunFolder(aside).lock.unlink(missing_ok=True)

    def result(self, name: str) -> Path:
        """Return the path of a result file of the rerun.

        Raises:
            SweepError: ``name`` is not a plain file name.
        """
        if _FILE.fullmatch(name) is None:
            raise SweepError(f"{name!r} is not a valid name for a result file; use only letters, digits and . _ + -")
        return self.rerun / name

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder as its only driver; the system releases it when the process ends, however it ends.

        Raises:
            SweepError: another process holds it, or its lock cannot be written.
        """
        with ExitStack() as held:
            try:
                holder = held.enter_context(locked(self._driver_lock, _DRIVER_SECONDS))
            except OSError as error:
                raise SweepError(
                    f"cannot lock {self._driver_lock}: {error}; the sweep folder must be writable, on a file system "
                    f"that supports file locks"
                ) from error
            self._refuse(holder)
            yield

    def refuse_if_driven(self) -> None:
        """Check for a running driver before slow preparations for another one, which :meth:`lock` would refuse.

        Raises:
            SweepError: another process holds the folder.
        """
        self._refuse(self.driver())

    def _refuse(self, holder: str | None) -> None:
        if holder is not None:
            raise SweepError(
                f"{self.path} is in use by another driver ({holder}); wait for it or stop it, then try again"
            )

    def driver(self) -> str | None:
        """Return the driver that holds the folder, as a process and a host; None if no driver runs.

        Raises:
            SweepError: the folder cannot be read.
        """
        try:
            return holder_of(self._driver_lock)
        except OSError as error:
            raise SweepError(f"cannot read {self._driver_lock}: {error}") from error

    @contextmanager
    def trial_lock(self, trial: str, seconds: float = 0.0) -> Iterator[None]:
        """Hold a trial's run folder as its only writer, by the lock that ``run_single.py`` takes too.

        Raises:
            OSError: another process holds it; it ends soon, so trying again helps.
        """
        with RunFolder(self.trial(trial)).locked(seconds) as holder:
            if holder is not None:
                raise OSError(f"the run folder of {trial} is still in use ({holder})")
            yield
