"""The command that makes a report, for display in the report itself."""

import os
from collections.abc import Sequence
from pathlib import Path

from iafsweep.shown_command import program


def report_command(folder: Path, show: Sequence[str] = ()) -> list[str]:
    """Return the command that makes a report, as words without absolute paths or user names: the report shows it."""
    from iafsweep.report.private import shareable

    words, here = program("sweep"), Path.cwd()
    words[-1] = os.path.relpath(words[-1]) if Path(words[-1]).is_relative_to(here) else words[-1]
    if any(os.path.isabs(word) or os.pardir in Path(word).parts or shareable(word) != word for word in words):
        words = ["iafsweep-sweep"]
    below = folder.relative_to(here) if folder.is_relative_to(here) and folder != here else Path(folder.name)
    shown = below.as_posix()
    options = [word for settings in show for word in ("--show", settings)]
    return [*words, "report", *options, shown if shareable(shown) == shown else folder.name]
