"""What a command that runs a sweep prints, during the sweep and at its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console

from iafsweep.api.launch import SweepEnd
from iafsweep.api.news import Place
from iafsweep.api.results import SweepResults
from iafsweep.api.shown.faults import faults_in_words
from iafsweep.api.shown.sweeps import SweepShown
from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.errors import INTERRUPTS, code_of
from iafsweep.cli.options.ray import Machine
from iafsweep.cli.tables import print_leaderboard, search_lines
from iafsweep.cli.tracking import tracked_sweep
from iafsweep.errors import RunFolderError
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.files import dump_space
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command, this_command
from iafsweep.signals import between_steps
from iafsweep.sweep.callbacks.base import CallbackList, SweepCallback
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import resume_command

if TYPE_CHECKING:
    from iafsweep.sweep.callbacks.tracker import SweepTracking


def run_and_print(work: Callable[[Place], SweepEnd], machine: Machine, going_on: str | None = None) -> NoReturn:
    """Run a sweep, print its progress, its results and how to continue, and exit.

    Args:
        work: runs the sweep.
        machine: what the sweep runs on.
        going_on: the command that continues the sweep; None: the one that resumes it.
    """
    output = SweepOutput(machine, make_console(), going_on)
    try:
        with output.acknowledging():
            end = work(Place(machine.options, machine.data_root, output, machine.data_path))
        with faults_in_words(end.results.folder.path, lambda: output.going_on):
            output.print_end(end)
        code = end.exit_code
    except INTERRUPTS as interrupt:  # before or while Ray starts, between two parts of the work, or a second signal
        if output.folder is None:
            raise
        if output.folder.space.exists():
            output.print_interrupted()
        else:
            output.message("\nInterrupted before the sweep began; there is nothing to resume.")
        code = code_of(interrupt)
    raise typer.Exit(code)


class SweepOutput(SweepShown):
    """Prints the progress of a sweep, and sends its runs to a tracker.

    ``going_on`` is the command that continues the sweep; None: the one that resumes it.
    """

    def __init__(self, machine: Machine, console: Console, going_on: str | None = None) -> None:
        super().__init__(console)
        self.folder: SweepFolder | None = None
        self._space: SearchSpace | None = None
        self._machine, self._going_on = machine, going_on
        self._tracking: SweepTracking | None = None

    @property
    def going_on(self) -> str:
        """The command that continues the sweep; this same command until the sweep folder holds its settings."""
        folder, space = self.folder, self._space
        if self._going_on is not None or folder is None or space is None or not _keeps(folder, space):
            return self._going_on or this_command()
        return sweep_command("resume", folder.path)

    def opened(self, folder: SweepFolder) -> None:
        """Remember the sweep folder, for the command that continues the sweep."""
        self.folder = folder

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Let a signal end the command only after the imports, since an exception could leave them half done."""
        code = 0
        try:
            with between_steps(), loading("Ray"):
                yield
        except INTERRUPTS as interrupt:
            code = code_of(interrupt)
        if code:
            print("Interrupted before anything was written.", file=sys.stderr)
            raise typer.Exit(code)

    @contextmanager
    def working(self, space: SearchSpace, folder: SweepFolder) -> Iterator[SweepCallback]:
        """Show the trials and send them to the tracker."""
        self._space = space
        with (
            super().working(space, folder) as progress,
            faults_in_words(folder.path, lambda: self.going_on),
            tracked_sweep(self._machine.tracker, space, folder, progress) as tracking,
        ):
            self._tracking = tracking
            yield progress if tracking is None else CallbackList(progress, tracking)

    def scored(self, runs: Mapping[str, RunFolder]) -> None:
        """Print how each search for a small estimator error ended."""
        for trial, run in runs.items():
            with suppress(RunFolderError):  # a trial whose scoring failed has no figures
                for line in search_lines(run.read_evaluation().estimates):
                    self.message(f"{trial} {line}")
        if self._tracking is not None:
            self._tracking.scored(runs)

    def print_end(self, end: SweepEnd) -> None:
        """Print the results of a sweep or why it ended early, and last how to continue."""
        outcome = end.training
        if outcome.status == "aborted":
            self.message(report_line(end.results))
            self.problem("Several trials in a row failed in the same place, so the sweep has stopped:")
            self._console.print(outcome.error, markup=False)
        elif outcome.status == "interrupted":
            self.message(report_line(end.results))
        else:
            print_results(self._console, end.results)
        if end.of is not None:
            self._console.print()
            print_leaderboard(self._console, end.of.folder, end.of.leaderboard)
            self.message(report_line(end.of))
        if outcome.status == "aborted":
            self.message(f"When the cause is fixed, continue with:\n  {self.going_on}")
        elif outcome.status == "stopped" and end.exit_code <= _BY_SIGNAL:
            assert self.folder is not None
            assert self._space is not None
            going_on = self._going_on or resume_command(self.folder, self._space, outcome.state)
            self.message(f"The sweep is stopped: {outcome.reason}. To go on:\n  {going_on}")
        elif end.exit_code > _BY_SIGNAL:
            self.print_interrupted()

    def print_scored(self, results: SweepResults, code: int) -> None:
        """Print the results of a sweep whose best trials were scored; a code above 128 means an interrupted scoring."""
        print_results(self._console, results)
        if code > _BY_SIGNAL:
            self.print_interrupted()

    def print_interrupted(self) -> None:
        """Print how to continue."""
        self.message(f"\nInterrupted. To go on:\n  {self.going_on}")


_BY_SIGNAL = 128
"""Exit codes above this come from a signal."""


def print_results(console: Console, results: SweepResults) -> None:
    """Print the leaderboard of a sweep, and where its files are."""
    folder = results.folder
    print_leaderboard(console, folder, results.leaderboard)
    say(console, f"\nLeaderboard: {folder.leaderboard_csv}")
    say(console, f"Run folders: {folder.trials}")
    if folder.best.exists():
        say(console, f"Best configuration: {folder.best}")
    say(console, report_line(results))


def report_line(results: SweepResults) -> str:
    """Return a line with the path of the report, or the reason why there is none."""
    if results.report is not None:
        return f"Report: {results.report}"
    return f"No report was written ({results.fault}); try: {sweep_command('report', results.folder.path)}"


def _keeps(folder: SweepFolder, space: SearchSpace) -> bool:
    """Whether a sweep folder already holds the settings that were asked for."""
    return folder.space.exists() and folder.space.read_text(encoding="utf-8") == dump_space(space)
