"""A sweep, read back for use: its leaderboard as a frame, its trials as runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from iafsweep.api.run import Run, load_run
from iafsweep.errors import SweepError
from iafsweep.leaderboard import best_row, leaderboard_frame, ranked
from iafsweep.records import DeviceChoice, LeaderboardRow
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import RETRIED, read_sweep, resume_command

if TYPE_CHECKING:
    from iafsweep.report import Chart


@dataclass(frozen=True)
class LoadedSweep:
    """A sweep as it stood when it was read; running and interrupted ones can be read too.

    Attributes:
        path: its folder.
        title: what its search space asks.
        parameters: paths of the searched fields, in the order of the space.
        rows: a record a trial, in the order of the ranks.
        problems: what could not be read and is missing in the rows, a sentence each.
        driver: the process that trained or scored it then, and its host; None if none did.
    """

    path: Path
    title: str
    parameters: tuple[str, ...]
    rows: tuple[LeaderboardRow, ...]
    problems: tuple[str, ...] = ()
    driver: str | None = None

    @property
    def leaderboard(self) -> pd.DataFrame:
        """The leaderboard: a row a trial, the columns of ``leaderboard.csv``, ranked by the validation bound.

        Nats per image, seconds, numbers of images and parameters. Whole numbers are ``Int64`` and truth values
        ``boolean``, so that they stay what they are beside missing ones; a searched field is missing where it was
        inactive.

        Example:
            >>> import iafsweep
            >>> board = iafsweep.load_sweep("runs/quick-1").leaderboard
            >>> board.loc[board["status"] == "completed", ["rank", "trial"]].head(1).to_dict("records")
            [{'rank': 1, 'trial': 't0001'}]
            >>> str(board["validation_negative_elbo"].dtype), str(board["epochs"].dtype)
            ('float64', 'Int64')
        """
        return leaderboard_frame(self.rows, self.parameters)

    def best(self, device: DeviceChoice = "auto") -> Run:
        """Return the run of rank 1: the completed trial with the lowest validation bound.

        Args:
            device: where its model is put.

        Raises:
            SweepError: no trial has completed with a finite bound.

        Example:
            >>> import iafsweep
            >>> iafsweep.load_sweep("runs/quick-1").best().model.sample(2).shape
            torch.Size([2, 1, 28, 28])
        """
        best = best_row(self.rows)
        if best is None:
            raise SweepError(
                f"{self.path} has no completed trial with a finite bound yet; name one with .run('t0001'), or "
                f"{self._remedy()}"
            )
        return self.run(best.trial, device)

    def _remedy(self) -> str:
        """What gives the sweep its first good trial."""
        if self.driver is not None:
            return f"load the sweep again later: a driver is at work on it ({self.driver})"
        sweep = read_sweep(SweepFolder(self.path))
        if sweep.state.unfinished or len(sweep.state.trials) < sweep.space.sweep.trials:
            return f"go on with the sweep: {resume_command(sweep.folder, sweep.space, sweep.state)}"
        statuses = {row.status for row in self.rows}
        if again := [word for status in RETRIED if status in statuses for word in ("--status", status)]:
            return f"run trials again: {sweep_command('retry', self.path, *again)}"
        return f"train more trials: {sweep_command('extend', self.path, '--trials', f'+{len(self.rows)}')}"

    def figure(self, name: str = "learning-curves", show: str | Sequence[str] = ()) -> "Chart":
        """Return one chart of the report, which a notebook shows as a cell's value; ``.save(path)`` writes a page.

        It shows the sweep as it is now: zoom, tooltips and downloads are those of the report.

        Args:
            name: ``learning-curves``, ``importance``, ``variance``, ``parallel``, ``contour``, ``cost``,
                ``test-figures``, or ``slice-`` and a searched parameter, such as ``slice-depth``.
            show: settings of the test figures to show.

        Raises:
            UserError: there is no such chart.

        Example:
            >>> import iafsweep
            >>> iafsweep.load_sweep("runs/quick-1").figure("parallel").name
            'parallel'
        """
        from iafsweep.report import chart

        return chart(read_sweep(SweepFolder(self.path)), name, (show,) if isinstance(show, str) else show)

    def run(self, trial: str, device: DeviceChoice = "auto") -> Run:
        """Return a trial's run.

        Args:
            trial: its name, such as ``t0003``.
            device: where its model is put.

        Raises:
            SweepError: the sweep has no such trial.
            RunFolderError: it has no checkpoint to read.
        """
        folder = SweepFolder(self.path)
        folder.refuse_unknown(trial, sorted(row.trial for row in self.rows))
        return load_run(folder.trial(trial), device)


def load_sweep(path: str | Path, show: str | Sequence[str] = ()) -> LoadedSweep:
    """Read a sweep folder: its ledger and the figures of its run folders. Nothing is written, Ray is not needed.

    Args:
        path: the folder that ``run_sweep.py launch`` made, such as ``runs/quick-1``; ``~`` is the home folder.
        show: settings of the test figures to show, such as ``"posterior 40x4x16"``; of each method without any the
            figure on most images is shown, and of these the lowest.

    Raises:
        UserError: no trial has a test figure with these settings.
        SweepError: it is no sweep folder, or its ledger cannot be read.
        ConfigError: its stored search space is damaged.

    Example:
        >>> import iafsweep
        >>> sweep = iafsweep.load_sweep("runs/quick-1")
        >>> sweep.rows[0].rank, sweep.rows[0].status
        (1, 'completed')
    """
    sweep = read_sweep(SweepFolder(Path(path).expanduser()))
    scored = scored_rows(sweep, (show,) if isinstance(show, str) else show)
    return LoadedSweep(
        path=sweep.folder.path,
        title=sweep.space.title,
        parameters=tuple(sweep.parameters),
        rows=ranked(scored.rows),
        problems=(*sweep.damage, *scored.problems),
        driver=sweep.driver,
    )
