"""A sweep in Python: launched, gone on with, read back; its leaderboard as a frame, its trials as runs."""

import math
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from iafsweep.api.news import Place, SweepNews
from iafsweep.api.own_images import Given
from iafsweep.api.run import Run, load_run
from iafsweep.api.scoring.asked import Asked
from iafsweep.api.settings import with_sweep
from iafsweep.api.shown.faults import faults_in_words
from iafsweep.api.shown.html import small_table
from iafsweep.api.shown.progress import Shown
from iafsweep.api.shown.sweeps import sweep_news
from iafsweep.api.spaces import SearchSpace
from iafsweep.data_root import absolute_data_root
from iafsweep.errors import ConfigError, SweepError, UserError
from iafsweep.leaderboard import best_row, leaderboard_frame, ranked, winners_curse
from iafsweep.records import (
    DeviceChoice,
    Figure,
    LeaderboardRow,
    PairedDifference,
    WinnersCurse,
    details_of,
    details_text,
)
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.search_space.files import checked_space, load_space
from iafsweep.search_space.space import SearchSpace as CheckedSpace
from iafsweep.shown_command import sweep_command
from iafsweep.signals import RAISED, handing_on
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import RETRIED, read_sweep, resume_command
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.texts import counted, one_line, short_name, value_text

if TYPE_CHECKING:
    from iafsweep.api.launch import SweepEnd
    from iafsweep.report import Chart
    from iafsweep.results.optuna_journal import Study

Share = float | Literal["auto"] | None
"""GPUs a trial; ``auto``: as many trials a GPU as the largest configuration fits; None: 1 if there are any."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHOWN_ROWS = 8


@dataclass(frozen=True)
class _Where:
    """On what a sweep runs that is gone on with from Python."""

    options: LaunchOptions = field(default_factory=LaunchOptions)
    data_root: str | Path | None = None
    images: Given = None

    def place(self, hours: float | None, news: SweepNews) -> Place:
        if hours is not None and not (isinstance(hours, int | float) and 0 < hours < math.inf):
            raise UserError(f"hours must be a finite number above 0, got {hours!r}")
        options = self.options if hours is None else replace(self.options, hours=hours)
        return Place(options, absolute_data_root(self.data_root), news, self.images)


@dataclass(eq=False, repr=False)
class LoadedSweep:
    """A sweep as it stood when it was read, or when a method of it last went on with it.

    Running and interrupted ones can be read too. What goes on with it (:meth:`resume`, :meth:`extend`, :meth:`retry`,
    :meth:`rerun`, :meth:`retrain`) does what the command of that name does, from what is on disk, and may follow a
    command or be followed by one. It blocks, and returns the sweep, renewed. Ctrl-C saves running trials and raises
    KeyboardInterrupt when that is done; SIGTERM and SIGHUP save them too, and are then handed on.

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
    _show: tuple[str, ...] = ()
    _where: _Where = field(default_factory=_Where)

    def __repr__(self) -> str:
        lines = [f"<Sweep {self.path}: {self._about}"]
        lines += [
            "  " + ", ".join(f"{name} {text}" for name, text in zip(_HEADER, row, strict=True) if text)
            for row in self._table(3)
        ]
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        return small_table(f"{self.path.name}: {self._about}", _HEADER, self._table(_SHOWN_ROWS))

    @property
    def _about(self) -> str:
        title = f"{one_line(self.title)} " if self.title else ""
        completed = sum(row.status == "completed" for row in self.rows)
        return f"{title}{counted(len(self.rows), 'trial')}, {completed} completed{', in use' if self.driver else ''}"

    def _table(self, most: int) -> list[tuple[str, ...]]:
        """The first rows, as short texts."""
        found: list[tuple[str, ...]] = []
        for row in self.rows[:most]:
            values = {short_name(path, self.parameters): value_text(each) for path, each in row.parameters.items()}
            bound, rank = row.validation_negative_elbo, "-" if row.rank is None else str(row.rank)
            words = details_text(details_of(None, autoregressive=row.autoregressive))
            figures = {"IS": row.nll_importance_sampling, "HAIS": row.nll_hais}
            found.append((
                rank, row.trial, row.status, "" if bound is None else f"{bound:.2f}{words}",
                ", ".join(f"{name} {_short(figure)}" for name, figure in figures.items() if figure is not None),
                ", ".join(f"{name} {text}" for name, text in values.items()),
            ))  # fmt: skip
        return found

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

    @property
    def winners_curse(self) -> WinnersCurse | None:
        """By how much the best bound is too good for having been chosen, and which trial may truly be the best.

        None where the spread over seeds is not known; :meth:`retrain` makes it known.

        Example:
            >>> import iafsweep
            >>> iafsweep.load_sweep("runs/quick-1").winners_curse is None  # nothing was trained again
            True
        """
        return winners_curse(row for row in self.rows if row.rank is not None)

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
        return load_run(folder.trial(trial), device, images=self._where.images, data_root=self._where.data_root)

    def compare(self, *trials: str, show: str | Sequence[str] = ()) -> pd.DataFrame:
        """Compare scored trials with the first of them, image by image: differences are known far better than figures.

        Args:
            trials: their names; none: every trial with figures.
            show: settings of the figures to compare; none: all that both were scored with.

        Returns:
            A row a trial and figure: ``difference`` in nats, negative where ``first`` is better than ``second``, its
            ``standard_error``, the number of ``images``.

        Raises:
            UserError: there is no such trial, one has no figures, or none were made with the same settings.
        """
        from iafsweep.api.results import compare

        found = compare(self.path, trials, show=(show,) if isinstance(show, str) else show)
        if not found.differences and found.left_out:
            each = found.left_out[0]
            raise UserError(
                f"{each.first} was scored with {each.first_settings}, {each.second} with {each.second_settings}: score "
                f"them alike first, as in sweep.rerun(trials=[{each.first!r}, {each.second!r}], samples=1000)"
            )
        records = [each.model_dump() for each in found.differences]
        return pd.DataFrame(records, columns=list(PairedDifference.model_fields))

    def study(self) -> "Study":
        """Return the trials as an Optuna study, for ``optuna.visualization``; plots need plotly, the extra ``plots``.

        It is a copy in memory: what is done to it changes nothing of the sweep. Trial 7 of it is ``t0007``; there is no
        trial 0, which Optuna shows as failed.
        """
        from iafsweep.results.optuna_journal import study_of

        return study_of(read_sweep(SweepFolder(self.path)))

    def resume(
        self,
        *,
        gpus_per_trial: Share = None,
        hours: float | None = None,
        settings: Mapping[str, object] | None = None,
        progress: Shown | SweepNews = "auto",
    ) -> "LoadedSweep":
        """Go on with a sweep that was interrupted or killed; finished trials are not trained again.

        Args:
            gpus_per_trial: GPUs a trial, fractions allowed, or ``auto``; None: as before.
            hours: hours this call may take; None: as many as it needs.
            settings: other fields of ``[sweep]`` that may change while it lasts, such as ``{"max_concurrent": 2}``.
            progress: ``auto``: shown where there is a terminal or a notebook; ``off``: nothing is printed.

        Raises:
            UserError: another driver is at work, or what is asked for cannot be given.
            KeyboardInterrupt: Ctrl-C; running trials are saved.
        """
        from iafsweep.api import launch as api

        changes = {"gpus_per_trial": gpus_per_trial, **(settings or {})}
        return self._see_through(lambda place: api.resume(self.path, changes, place), hours, progress)

    def extend(
        self,
        trials: int,
        *,
        hours: float | None = None,
        settings: Mapping[str, object] | None = None,
        progress: Shown | SweepNews = "auto",
    ) -> "LoadedSweep":
        """Train so many more trials; the sampler knows all earlier results.

        Args:
            trials: how many more.
            hours: as of :meth:`resume`; so are the others.
            settings: as of :meth:`resume`.
            progress: as of :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as :meth:`resume`.
        """
        from iafsweep.api import launch as api

        if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
            raise UserError(f"trials must be a whole number of further trials, at least 1, got {trials!r}")
        changes = dict(settings or {})
        return self._see_through(lambda place: api.extend(self.path, f"+{trials}", changes, place), hours, progress)

    def retry(
        self,
        statuses: str | Sequence[str],
        *,
        gpus_per_trial: float | None = None,
        hours: float | None = None,
        settings: Mapping[str, object] | None = None,
        progress: Shown | SweepNews = "auto",
    ) -> "LoadedSweep":
        """Run trials again that ended badly, and go on with the sweep.

        Args:
            statuses: ``oom``, ``failed`` or ``diverged``.
            gpus_per_trial: GPUs each of these trials gets; None: as many as the others.
            hours: as of :meth:`resume`; so are the others.
            settings: as of :meth:`resume`.
            progress: as of :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as :meth:`resume`.
        """
        from iafsweep.api import launch as api

        named, changes = [statuses] if isinstance(statuses, str) else list(statuses), dict(settings or {})
        return self._see_through(
            lambda place: api.retry(self.path, named, gpus_per_trial, changes, place), hours, progress
        )

    def retrain(
        self,
        *,
        top: int = 3,
        seeds: int = 5,
        all_images: bool = False,
        gpus_per_trial: float | None = None,
        hours: float | None = None,
        progress: Shown | SweepNews = "auto",
    ) -> "LoadedSweep":
        """Train the best configurations again from scratch with several seeds, and score them.

        Mean and spread stand on this sweep's leaderboard. Interrupted, the same call goes on.

        Args:
            top: how many of the best.
            seeds: how often each is trained.
            all_images: train on the validation images too.
            gpus_per_trial: GPUs a trial, fractions allowed.
            hours: as of :meth:`resume`.
            progress: as of :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as :meth:`resume`.
        """
        from iafsweep.api import launch as api

        if not (isinstance(top, int) and isinstance(seeds, int) and top >= 1 and seeds >= 2):  # noqa: PLR2004 - a spread
            raise UserError(
                f"retrain needs whole numbers, top >= 1 and seeds >= 2, got top = {top!r}, seeds = {seeds!r}"
            )
        changes = {"gpus_per_trial": gpus_per_trial}
        return self._see_through(
            lambda place: api.retrain(self.path, top, seeds, changes, place, all_images=all_images),
            hours,
            progress,
            "the same call again",
        )

    def rerun(
        self,
        *,
        top: int | None = None,
        trials: Sequence[str] = (),
        samples: int | None = None,
        hais: str | None = None,
        images: int | None = None,
        sandwich: int | None = None,
        until_error: float | None = None,
        settings: Mapping[str, object] | None = None,
        gpus_per_trial: float | None = None,
        progress: Shown | SweepNews = "auto",
    ) -> "LoadedSweep":
        """Score the best trials on the test images again, or others; new figures stand beside those that are there.

        Args:
            top: how many of the best; None: as many as the sweep scored.
            trials: these instead of the best.
            samples: importance samples an image.
            hais: ``off``, or the start of annealing, perhaps with temperatures x leapfrog steps x chains:
                ``prior:500x10x16``.
            images: the first so many test images.
            sandwich: measure lower and upper bound on so many images simulated from each model.
            until_error: add samples, or temperatures, until the estimator's error is below so many nats.
            settings: other fields of [evaluation] by their paths, such as ``{"evaluation.seed": 1}``.
            gpus_per_trial: GPUs a process, fractions allowed.
            progress: as of :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as :meth:`resume`.
        """
        from iafsweep.api.rerun import rerun  # it imports Ray

        asked = Asked(samples, hais, images, sandwich, until_error, settings or {})
        changes, news = {"top": top, "gpus_per_trial": gpus_per_trial}, sweep_news(progress)
        named = (trials,) if isinstance(trials, str) else trials
        with handing_on(), faults_in_words(self.path, lambda: "the same call again"):
            with news.acknowledging():
                code = rerun(self.path, changes, asked, self._where.place(None, news), named)[0]
            self._renew()
            _raise_interrupt(code, "results that are done are kept", "the same call again")
        return self

    def _see_through(
        self,
        work: "Callable[[Place], SweepEnd]",
        hours: float | None,
        progress: Shown | SweepNews,
        going_on: str = "",
    ) -> "LoadedSweep":
        try:
            _see_through(work, self.path, self._where.place(hours, sweep_news(progress)), going_on)
        finally:
            if SweepFolder(self.path).ledger.exists():
                self._renew()
        return self

    def _renew(self) -> None:
        found = load_sweep(self.path, self._show)
        self.rows, self.problems, self.driver = found.rows, found.problems, found.driver


def _short(figure: Figure) -> str:
    error = "" if figure.error is None else f" ± {figure.error:.2f}"
    untrusted = "" if figure.untrusted is None else f" ({figure.untrusted:.0%} untrusted)"
    return f"{figure.value:.2f}{error}{untrusted}{details_text(details_of(None, autoregressive=figure.autoregressive))}"


_HEADER = ("rank", "trial", "status", "validation -ELBO", "test NLL", "")


def launch(
    space: SearchSpace | str | Path,
    folder: str | Path,
    *,
    gpus_per_trial: Share = None,
    hours: float | None = None,
    settings: Mapping[str, object] | None = None,
    warm_start: str | Path | None = None,
    images: Given = None,
    data_root: str | Path | None = None,
    options: LaunchOptions | None = None,
    progress: Shown | SweepNews = "auto",
) -> LoadedSweep:
    """Train the trials of a search space, score the best again, publish: as ``run_sweep.py launch`` does.

    The same files, the same ledger, the same figures; ``run_sweep.py resume FOLDER`` goes on with it too. It blocks.
    Ctrl-C saves running trials and raises KeyboardInterrupt when that is done. In a thread, where Python allows no
    handlers, signals are the main thread's matter. A Ray that runs in this process already is used and left running.

    Args:
        space: what is searched: made in Python, or the name of a space that comes along, or a file.
        folder: a new folder of the sweep.
        gpus_per_trial: GPUs a trial, fractions allowed; ``auto``: as many trials a GPU as the largest configuration
            fits; None: 1 if there are any.
        hours: hours this call may take, scoring included; None: as many as it needs.
        settings: other fields of ``[sweep]`` by their names, over those of the space: ``{"max_concurrent": 2}``.
        warm_start: an earlier sweep's folder: the sampler is told what its trials found.
        images: one's own, :class:`iafsweep.Images`, in place of those that the space names, or where they are.
        data_root: folder of data sets; None: ``$IAFSWEEP_DATA``, else a cache folder.
        options: which Ray: a cluster to join, its folder; None: Ray is started on this machine.
        progress: ``auto``: a table where there is a terminal or a notebook; ``off``: nothing is printed.

    Returns:
        The sweep, with what its methods need to go on.

    Raises:
        UserError: the folder is there, a rule is broken, or this machine cannot give what it asks for; nothing was
            made.
        SweepError: trial after trial failed in the same place.
        KeyboardInterrupt: Ctrl-C; what was trained is saved.
    """
    from iafsweep.api import launch as api

    path = Path(folder).expanduser().absolute()
    if os.path.lexists(path):
        raise SweepError(
            f"{path} exists; name a new folder, or go on with the sweep in it: "
            f"iafsweep.load_sweep({str(path)!r}).resume()"
        )
    if _NAME.fullmatch(path.name) is None:
        raise SweepError(f"{path.name!r} is no name for a sweep's folder: take letters, digits and . _ - only")
    changes = {"gpus_per_trial": gpus_per_trial, **(settings or {})}
    checked = _space_of(space, {key: value for key, value in changes.items() if value != "auto"})
    where = _Where(LaunchOptions() if options is None else options, data_root, images)
    warm = None if warm_start is None else Path(warm_start).expanduser()

    def work(place: Place) -> "SweepEnd":
        return api.launch(checked, path.parent, path.name, place, path.name, warm, changes)

    _see_through(work, path, where.place(hours, sweep_news(progress)))
    return load_sweep(path, images=images, data_root=data_root, options=options)


def _space_of(space: SearchSpace | str | Path, settings: Mapping[str, object]) -> CheckedSpace:
    """Return a space, however it is named, with other settings of its sweep, checked; those that are None are left.

    Raises:
        ConfigError: a rule is broken.
    """
    if isinstance(space, str | Path):
        return load_space(space, sweep=settings)
    if not isinstance(space, SearchSpace):
        raise ConfigError(
            f"launch takes an iafsweep.SearchSpace, the name of a space or its file, got {type(space).__name__}"
        )
    if all(value is None for value in settings.values()):
        return space.checked
    return checked_space(with_sweep(space.checked, settings), "SearchSpace")


def _see_through(work: "Callable[[Place], SweepEnd]", path: Path, place: Place, going_on: str = "") -> None:
    """Run a sweep to its end; ``going_on`` is what goes on with it, if it is not its ``resume``."""
    going_on = going_on or f"iafsweep.load_sweep({str(path)!r}).resume()"
    with handing_on(), faults_in_words(path, lambda: going_on):
        with place.news.acknowledging():
            end = work(place)
        if end.training.status == "aborted":
            raise SweepError(
                f"trial after trial failed in the same place; the sweep is stopped. When that is mended, go on: "
                f"{going_on}\n{end.training.error}"
            )
        is_asked = end.training.status == "interrupted" and end.training.signal is None  # by `stop`
        _raise_interrupt(0 if is_asked else end.exit_code, "what was trained is saved", going_on)


def _raise_interrupt(code: int, what: str, going_on: str) -> None:
    """Raise what a signal raises, if the code is of one."""
    if (number := code - 128) <= 0:
        return
    text = f"{what}; go on: {going_on}"
    raise KeyboardInterrupt(text) if number == signal.SIGINT else RAISED[number](text)


def load_sweep(
    path: str | Path,
    show: str | Sequence[str] = (),
    *,
    images: Given = None,
    data_root: str | Path | None = None,
    options: LaunchOptions | None = None,
) -> LoadedSweep:
    """Read a sweep folder: its ledger and the figures of its run folders. Nothing is written, Ray is not needed.

    Args:
        path: the folder that ``run_sweep.py launch`` made, such as ``runs/quick-1``; ``~`` is the home folder.
        show: settings of the test figures to show, such as ``"posterior 40x4x16"``; of each method without any the
            figure on most images is shown, and of these the lowest.
        images: one's own that it was trained on, or where they are, for methods that need them; None: where they were.
        data_root: folder of data sets, likewise; None: ``$IAFSWEEP_DATA``, else a cache folder.
        options: which Ray its methods start or join; None: on this machine.

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
    shown = (show,) if isinstance(show, str) else tuple(show)
    scored = scored_rows(sweep, shown)
    return LoadedSweep(
        path=sweep.folder.path,
        title=sweep.space.title,
        parameters=tuple(sweep.parameters),
        rows=ranked(scored.rows),
        problems=(*sweep.damage, *scored.problems),
        driver=sweep.driver,
        _show=shown,
        _where=_Where(LaunchOptions() if options is None else options, data_root, images),
    )
