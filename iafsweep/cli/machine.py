"""On what a command of `run_sweep.py` runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iafsweep.cli.tracker_option import TrackerName
from iafsweep.sweep.options import LaunchOptions


@dataclass(frozen=True)
class Machine:
    """On what a command runs.

    Attributes:
        data_root: folder of data sets.
        asked_data_root: the same if it was asked for on the command line.
        options: as the sweep takes them.
        tracker: where trials are sent too; None: nowhere.
    """

    data_root: Path
    asked_data_root: Path | None
    options: LaunchOptions
    tracker: TrackerName | None = None
