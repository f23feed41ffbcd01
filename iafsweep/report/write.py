"""Write the report of a sweep folder, once or as long as the sweep runs, or return one chart of it."""

import html
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from iafsweep.atomic import replacing, writing
from iafsweep.errors import UserError
from iafsweep.report.findings import read_contents
from iafsweep.report.page import html_page
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep, read_sweep

CHARTS = ("learning-curves", "importance", "variance", "parallel", "contour", "cost", "test-figures")
"""Names of the charts, in addition to ``slice-`` with the path of each searched parameter."""
SHARE_OF_TIME = 0.1
"""Largest share of one core that following a running sweep may take."""
FEWEST_SECONDS = 2.0


def write_report(sweep: StoredSweep, command: Sequence[str], show: Sequence[str] = (), to: Path | None = None) -> Path:
    """Write the report atomically, as ``report.html`` in the sweep folder or to another file, and return its path.

    The sweep may be running or interrupted, and may lack good trials or any trials; the page says so.

    Args:
        sweep: the sweep.
        command: the words of the command that makes the report, the folder last, without absolute paths.
        show: settings of the test figures to show, see :meth:`~iafsweep.records.Estimate.is_shown`.
        to: file to write, not one of the sweep's own; None: ``report.html`` in the sweep folder.

    Raises:
        OSError: it cannot be written.
    """
    page = html_page(read_contents(sweep, command, show))
    with replacing(sweep.folder.report) if to is None else writing(to) as temporary:
        temporary.write_bytes(page.encode("utf-8", errors="replace"))
    return to or sweep.folder.report


@dataclass(frozen=True)
class Chart:
    """One chart of a sweep, to view in a notebook or a browser.

    Attributes:
        name: name of the chart.
        html: a complete page with the chart, which loads nothing else.
    """

    name: str
    html: str

    def save(self, path: str | Path) -> Path:
        """Write the chart as an HTML file and return its path.

        Raises:
            OSError: the file cannot be written.
        """
        with writing(Path(path)) as temporary:
            temporary.write_bytes(self.html.encode("utf-8", errors="replace"))
        return Path(path)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the page in its own frame, which cannot access the notebook."""
        page = html.escape(self.html, quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-downloads" title="{html.escape(self.name)}" '
            'style="width: 100%; height: 560px; border: 0"></iframe>'
        )


def chart(sweep: StoredSweep, name: str, show: Sequence[str] = ()) -> Chart:
    """Return one chart of the report.

    Args:
        sweep: the sweep.
        name: one of :data:`CHARTS`, or ``slice-`` and a searched parameter.
        show: settings of the test figures to show.

    Raises:
        UserError: there is no such chart.
    """
    contents = read_contents(sweep, ("iafsweep-sweep", "report", sweep.folder.path.name), show)
    slices = {f"slice-{end}": f"slice-{each.path}" for each in contents.parameters for end in (each.path, each.name)}
    if name not in CHARTS and name not in slices:
        known = ", ".join([*CHARTS, *(f"slice-{each.name}" for each in contents.parameters)])
        raise UserError(f"the report has no chart {name!r}; it has {known}")
    alone = contents.model_copy(update={"pictures": {}})
    return Chart(name, html_page(alone, only=slices.get(name, name)))


def changes(path: Path, sleep: Callable[[float], None] = time.sleep) -> Iterator[StoredSweep]:
    """Yield a sweep as it is, and again whenever one of its files has changed, until no driver works on it.

    The waits between checks are so long that checking and handling a change cost only a small share of one core.

    Args:
        path: the sweep folder.
        sleep: waits for the given number of seconds.
    """
    before: object = None
    while True:
        began = time.process_time()
        sweep = read_sweep(SweepFolder(path))
        now = (state_of(sweep.folder), sweep.driver)
        if now != before:
            before = now
            yield sweep
        if sweep.driver is None:
            return
        sleep(max(FEWEST_SECONDS, (time.process_time() - began) / SHARE_OF_TIME))


def state_of(folder: SweepFolder) -> tuple[object, ...]:
    """Return a value that changes when a file that the report is made from changes."""
    found = [_stamp(folder.ledger), _stamp(folder.environment)]
    if folder.trials.exists():
        for trial in sorted(folder.trials.iterdir()):
            run = RunFolder(trial)
            found += [_stamp(run.metrics), _stamp(run.evaluation), _stamp(run.samples)]
    return tuple(found)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
