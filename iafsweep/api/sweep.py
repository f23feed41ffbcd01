"""Sweeps in Python: launch, continue and read them; the leaderboard is a data frame, each trial a run."""

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
"""GPUs per trial; ``auto``: as many trials per GPU as fit of the largest configuration; None: 1 if there is a GPU."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHOWN_ROWS = 8


@dataclass(frozen=True)
class _Where:
    """What a sweep runs on when it is continued from Python."""

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
    """A sweep in the state in which it was read, or in which one of its methods last left it.

    Running and interrupted sweeps can be read too. The methods that continue a sweep (:meth:`resume`, :meth:`extend`,
    :meth:`retry`, :meth:`rerun`, :meth:`retrain`) do what the command of the same name does. They start from what is on
    disk, so calls and commands can alternate. They block, and return the updated sweep. Ctrl-C saves running trials and
    then raises KeyboardInterrupt; SIGTERM and SIGHUP save them too, and then go to the handler that was there before.

    Attributes:
        path: its folder.
        title: the title of its search space.
        parameters: paths of the searched fields, in the order of the space.
        rows: one record per trial, in rank order.
        problems: what could not be read and is missing from the rows, one sentence each.
        driver: the process that was training or scoring the sweep at that time, and its host; None if there was none.
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
        """Return the first rows as short texts."""
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
        """The leaderboard: one row per trial, the columns of ``leaderboard.csv``, ranked by the validation bound.

        Bounds and likelihoods are in nats per image, times in seconds. Integer columns are ``Int64`` and boolean ones
        ``boolean``, so that missing values do not change their type. A searched field is missing where it was inactive.

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
        """By how much selection flatters the best bound, and which trials may truly be the best.

        None if the spread over seeds is unknown; :meth:`retrain` measures it.

        Example:
            >>> import iafsweep
            >>> iafsweep.load_sweep("runs/quick-1").winners_curse is None  # nothing was trained again
            True
        """
        return winners_curse(row for row in self.rows if row.rank is not None)

    def best(self, device: DeviceChoice = "auto") -> Run:
        """Return the run of rank 1: the completed trial with the lowest validation bound.

        Args:
            device: device for its model.

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
                f"{self.path} has no completed trial with a finite bound yet; take any trial, as in .run('t0001'), or "
                f"{self._remedy()}"
            )
        return self.run(best.trial, device)

    def _remedy(self) -> str:
        """Return what to do to get the first good trial of the sweep."""
        if self.driver is not None:
            return f"load the sweep again later: a driver is at work on it ({self.driver})"
        sweep = read_sweep(SweepFolder(self.path))
        if sweep.state.unfinished or len(sweep.state.trials) < sweep.space.sweep.trials:
            return f"continue the sweep: {resume_command(sweep.folder, sweep.space, sweep.state)}"
        statuses = {row.status for row in self.rows}
        if again := [word for status in RETRIED if status in statuses for word in ("--status", status)]:
            return f"retry trials: {sweep_command('retry', self.path, *again)}"
        return f"train more trials: {sweep_command('extend', self.path, '--trials', f'+{len(self.rows)}')}"

    def figure(self, name: str = "learning-curves", show: str | Sequence[str] = ()) -> "Chart":
        """Return one chart of the report; a notebook displays it, and ``.save(path)`` writes it as an HTML page.

        It shows the current state of the sweep, with the zoom, tooltips and downloads of the report.

        Args:
            name: ``learning-curves``, ``importance``, ``variance``, ``parallel``, ``contour``, ``cost``,
                ``test-figures``, or ``slice-`` and a searched parameter, such as ``slice-depth``.
            show: settings of the test figures to show, as in :func:`load_sweep`.

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
        """Return the run of a trial.

        Args:
            trial: name of the trial, such as ``t0003``.
            device: device for its model.

        Raises:
            SweepError: the sweep has no such trial.
            RunFolderError: the trial has no readable checkpoint.
        """
        folder = SweepFolder(self.path)
        folder.refuse_unknown(trial, sorted(row.trial for row in self.rows))
        return load_run(folder.trial(trial), device, images=self._where.images, data_root=self._where.data_root)

    def compare(self, *trials: str, show: str | Sequence[str] = ()) -> pd.DataFrame:
        """Compare scored trials with the first of them by paired differences, image by image.

        Such differences are known far more precisely than the figures themselves.

        Args:
            trials: names of the trials; none: every trial with figures.
            show: settings of the figures to compare; none: all that both trials were scored with.

        Returns:
            One row per trial and figure: ``difference`` in nats per image, negative if ``first`` is better than
            ``second``, its ``standard_error``, and the number of ``images``.

        Raises:
            UserError: there is no such trial, a trial has no figures, or no two have figures with the same settings.
        """
        from iafsweep.api.results import compare

        found = compare(self.path, trials, show=(show,) if isinstance(show, str) else show)
        if not found.differences and found.left_out:
            each = found.left_out[0]
            raise UserError(
                f"{each.first} was scored with {each.first_settings}, but {each.second} with {each.second_settings}; "
                f"score both with the same settings first, as in sweep.rerun(trials=[{each.first!r}, {each.second!r}], "
                f"samples=1000)"
            )
        records = [each.model_dump() for each in found.differences]
        return pd.DataFrame(records, columns=list(PairedDifference.model_fields))

    def study(self) -> "Study":
        """Return the trials as an Optuna study, for ``optuna.visualization``; plots need plotly, the extra ``plots``.

        It is a copy in memory: changing it does not change the sweep. Trial 7 of the study is ``t0007``. A sweep has no
        trial 0, so Optuna shows that as failed.
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
        """Continue a sweep that was interrupted or killed; finished trials are not trained again.

        Args:
            gpus_per_trial: GPUs per trial, fractions allowed, or ``auto``; None: as before.
            hours: time limit for this call in hours; None: no limit.
            settings: other fields of ``[sweep]`` that may change during a sweep, such as ``{"max_concurrent": 2}``.
            progress: ``auto``: shown on a terminal or in a notebook; ``off``: nothing is printed; or a listener.

        Raises:
            UserError: another driver is at work, or the requested resources are not available.
            KeyboardInterrupt: Ctrl-C was pressed; running trials are saved.
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
        """Train more trials; the sampler knows all earlier results.

        Args:
            trials: number of additional trials.
            hours: as in :meth:`resume`.
            settings: as in :meth:`resume`.
            progress: as in :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as in :meth:`resume`.
        """
        from iafsweep.api import launch as api

        if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
            raise UserError(
                f"trials must be the number of additional trials, a whole number of at least 1, got {trials!r}"
            )
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
        """Retry trials that ended badly, and continue the sweep.

        Args:
            statuses: one or several of ``oom``, ``failed`` and ``diverged``.
            gpus_per_trial: GPUs for each of these trials; None: as many as for the others.
            hours: as in :meth:`resume`.
            settings: as in :meth:`resume`.
            progress: as in :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as in :meth:`resume`.
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
        """Retrain the best configurations from scratch with several seeds, and score them.

        The leaderboard of this sweep then shows mean and spread. After an interruption, the same call continues.

        Args:
            top: number of best configurations.
            seeds: number of seeds per configuration.
            all_images: also train on the validation images.
            gpus_per_trial: GPUs per trial, fractions allowed.
            hours: as in :meth:`resume`.
            progress: as in :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as in :meth:`resume`.
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
            "repeat the same call",
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
        """Score the best or the named trials on the test images again; figures with other settings are kept.

        Args:
            top: number of best trials to score; None: as many as the sweep scored.
            trials: names of trials to score instead of the best.
            samples: number of importance samples per image.
            hais: ``off``, or the start of annealing, optionally with temperatures x leapfrog steps x chains, such as
                ``prior:500x10x16``.
            images: number of test images, from the first on.
            sandwich: number of images, simulated from each model, on which to measure a lower and an upper bound.
            until_error: add samples or temperatures until the estimator's error is below this many nats.
            settings: other fields of [evaluation] by their paths, such as ``{"evaluation.seed": 1}``.
            gpus_per_trial: GPUs per process, fractions allowed.
            progress: as in :meth:`resume`.

        Raises:
            UserError, KeyboardInterrupt: as in :meth:`resume`.
        """
        from iafsweep.api.rerun import rerun  # it imports Ray

        asked = Asked(samples, hais, images, sandwich, until_error, settings or {})
        changes, news = {"top": top, "gpus_per_trial": gpus_per_trial}, sweep_news(progress)
        named = (trials,) if isinstance(trials, str) else trials
        with handing_on(), faults_in_words(self.path, lambda: "repeat the same call"):
            with news.acknowledging():
                code = rerun(self.path, changes, asked, self._where.place(None, news), named)[0]
            self._renew()
            _raise_interrupt(code, "finished results are kept", "repeat the same call")
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
    """Train the trials of a search space, score the best on test images, and publish the results.

    The files, the ledger and the figures are those of ``run_sweep.py launch``, and ``run_sweep.py resume FOLDER`` can
    continue the sweep. The call blocks. Ctrl-C saves running trials and then raises KeyboardInterrupt. Outside the main
    thread, where Python allows no handlers, signals are left to the main thread. If Ray already runs in this process,
    it is used and left running.

    Args:
        space: the search space: a :class:`SearchSpace`, the name of a shipped space, or a file.
        folder: a new folder for the sweep.
        gpus_per_trial: GPUs per trial, fractions allowed; ``auto``: as many trials per GPU as fit of the largest
            configuration; None: 1 if there is a GPU.
        hours: time limit for this call in hours, scoring included; None: no limit.
        settings: other fields of ``[sweep]`` by name, which override those of the space: ``{"max_concurrent": 2}``.
        warm_start: folder of an earlier sweep, whose results the sampler starts from.
        images: your own images (:class:`iafsweep.Images` or a path), in place of those that the space names.
        data_root: folder of data sets; None: ``$IAFSWEEP_DATA``, else a cache folder.
        options: which Ray cluster to join, or how to start Ray; None: start Ray on this machine.
        progress: ``auto``: a table on a terminal or in a notebook; ``off``: nothing is printed; or a listener.

    Returns:
        The sweep; its methods continue with the same images, data folder and Ray options.

    Raises:
        UserError: the folder exists, a rule is broken, or this machine lacks what the sweep asks for; nothing was
            created.
        SweepError: trial after trial failed in the same place.
        KeyboardInterrupt: Ctrl-C was pressed; what was trained is saved.
    """
    from iafsweep.api import launch as api

    path = Path(folder).expanduser().absolute()
    if os.path.lexists(path):
        raise SweepError(
            f"{path} exists; name a new folder, or continue the sweep in it: "
            f"iafsweep.load_sweep({str(path)!r}).resume()"
        )
    if _NAME.fullmatch(path.name) is None:
        raise SweepError(
            f"{path.name!r} is not a valid name for a sweep folder; use up to 100 letters, digits and . _ -, beginning "
            f"with a letter or digit"
        )
    changes = {"gpus_per_trial": gpus_per_trial, **(settings or {})}
    checked = _space_of(space, {key: value for key, value in changes.items() if value != "auto"})
    where = _Where(LaunchOptions() if options is None else options, data_root, images)
    warm = None if warm_start is None else Path(warm_start).expanduser()

    def work(place: Place) -> "SweepEnd":
        return api.launch(checked, path.parent, path.name, place, path.name, warm, changes)

    _see_through(work, path, where.place(hours, sweep_news(progress)))
    return load_sweep(path, images=images, data_root=data_root, options=options)


def _space_of(space: SearchSpace | str | Path, settings: Mapping[str, object]) -> CheckedSpace:
    """Return the checked space for an object, name or file, with changed sweep settings; None changes nothing.

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
    """Run a sweep to its end; ``going_on`` says how to continue it, if not with ``resume``."""
    going_on = going_on or f"iafsweep.load_sweep({str(path)!r}).resume()"
    with handing_on(), faults_in_words(path, lambda: going_on):
        with place.news.acknowledging():
            end = work(place)
        if end.training.status == "aborted":
            raise SweepError(
                f"several trials in a row failed in the same place, so the sweep has stopped; fix the cause, then "
                f"continue: {going_on}\n{end.training.error}"
            )
        is_asked = end.training.status == "interrupted" and end.training.signal is None  # by `stop`
        _raise_interrupt(0 if is_asked else end.exit_code, "all training so far is saved", going_on)


def _raise_interrupt(code: int, what: str, going_on: str) -> None:
    """Raise the exception of a signal if the exit code stands for one."""
    if (number := code - 128) <= 0:
        return
    text = f"{what}; to continue: {going_on}"
    raise KeyboardInterrupt(text) if number == signal.SIGINT else RAISED[number](text)


def load_sweep(
    path: str | Path,
    show: str | Sequence[str] = (),
    *,
    images: Given = None,
    data_root: str | Path | None = None,
    options: LaunchOptions | None = None,
) -> LoadedSweep:
    """Read a sweep folder: its ledger and the figures of its run folders.

    Nothing is written, and Ray is not needed.

    Args:
        path: the sweep folder, such as ``runs/quick-1``; ``~`` is the home folder.
        show: settings of the test figures to show, such as ``"posterior 40x4x16"``; for a method without any here, the
            figure on the most images is shown, and of several such the lowest.
        images: your own images that it was trained on, or their path, for methods that need them; None: at the path in
            its configuration.
        data_root: folder of data sets, for the same methods; None: ``$IAFSWEEP_DATA``, else a cache folder.
        options: which Ray cluster its methods join, or how they start Ray; None: they start Ray on this machine.

    Raises:
        UserError: no trial has a test figure with these settings.
        SweepError: it is not a sweep folder, or its ledger cannot be read.
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
