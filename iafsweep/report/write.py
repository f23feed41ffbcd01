"""Write the report of a sweep folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from iafsweep.atomic import replacing, writing
from iafsweep.report.findings import read_findings
from iafsweep.report.page import html_page
from iafsweep.report.png import draw
from iafsweep.sweep.storage.stored_sweep import StoredSweep


def write_report(sweep: StoredSweep, command: Sequence[str], show: Sequence[str] = (), to: Path | None = None) -> Path:
    """Write ``report.html`` into a sweep folder, atomically, or the page to another place; return its path.

    The sweep may be running, interrupted, without a single good trial or without any: the page says so.

    Args:
        sweep: the sweep.
        command: the words that make the report again, the folder last, without absolute paths.
        show: settings of the test figures to show, see :meth:`~iafsweep.records.Estimate.is_shown`.
        to: where to write it, into nothing of the sweep's; None: into the sweep folder.

    Raises:
        OSError: it cannot be written.
    """
    page = html_page(read_findings(sweep, show), command)
    with replacing(sweep.folder.report) if to is None else writing(to) as temporary:
        temporary.write_bytes(page.encode("utf-8", errors="replace"))
    return to or sweep.folder.report


def write_png(sweep: StoredSweep, show: Sequence[str] = ()) -> list[Path]:
    """Write every figure of the report that has something to show as a PNG file, and return their paths.

    Raises:
        UserError: matplotlib is not installed; else as :func:`write_report`.
    """
    folder, found = sweep.folder, read_findings(sweep, show)
    statuses = {row.trial: row.status for row in found.rows}
    best = None if found.best is None else found.best.trial
    folder.figures.mkdir(exist_ok=True)
    written = []
    for figure in found.figures:
        if not figure.empty:
            path = folder.figures / f"{figure.name}.png"
            draw(figure, statuses, best, path)
            written.append(path)
    return written
