"""Show the progress of a sweep: a table on a terminal or in a notebook, lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from iafsweep.api.news import SweepNews
from iafsweep.api.shown.progress import Shown, UnitsProgress, console_of, is_live
from iafsweep.signals import AGAIN, told_at_once
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.callbacks.progress import LiveProgress, PlainProgress
from iafsweep.sweep.callbacks.running import RunningTrials
from iafsweep.sweep.samplers.base import why_exhausted
from iafsweep.texts import counted, say

if TYPE_CHECKING:
    from rich.console import Console

    from iafsweep.search_space.space import SearchSpace
    from iafsweep.sweep.cluster.actor_pool import UnitProgress
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.sweep.tune.driver import SweepOutcome


class SweepShown(SweepNews):
    """Shows the progress of a sweep."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stopping = "nothing has been created yet"

    @contextmanager
    def acknowledging(self) -> Iterator[None]:
        """Acknowledge Ctrl-C or SIGTERM at once, and say what is still done."""
        with told_at_once(lambda: self.message(f"\nStopping: {self._stopping}; {AGAIN}")):
            yield

    @contextmanager
    def working(self, space: SearchSpace, folder: SweepFolder) -> Iterator[SweepCallback]:
        """Print the sweep folder; show trials as a live table on a terminal, elsewhere as one line each."""
        self._stopping = "running trials are saving, which takes about 20 s at most"
        self.message(f"Sweep folder: {folder.path}")
        running, paths = RunningTrials(space, folder), [parameter.path for parameter in space.parameters]
        if is_live(self._console):
            yield LiveProgress(running, paths, self._console)
        else:
            yield PlainProgress(running, self.message)

    def message(self, text: str) -> None:
        """Print a message for the user."""
        say(self._console, text)

    def problem(self, text: str) -> None:
        """Print a problem in red."""
        say(self._console, text, "red")

    def trained(self, outcome: SweepOutcome, space: SearchSpace) -> None:
        """Print why the sweep ended with fewer trials than requested, if it did."""
        if outcome.status == "exhausted":
            self.message(f"{why_exhausted(space)} The sweep is exhausted.")
        if outcome.status == "stopped":
            self.message(f"The sweep is stopped: {outcome.reason}.")

    def scoring(self, trials: Sequence[str], *, named: bool) -> AbstractContextManager[UnitProgress]:
        """Show how much of the scoring is done."""
        self._stopping = "finished results are kept"
        which = ", ".join(trials) if named else f"the best {counted(len(trials), 'trial')}"
        return UnitsProgress(self._console, f"Scoring {which} on test images").shown()


def sweep_news(progress: Shown | SweepNews) -> SweepNews:
    """Return the listener to a sweep that ``progress`` stands for."""
    if isinstance(progress, SweepNews):
        return progress
    console = console_of(progress)
    return SweepNews() if console is None else SweepShown(console)
