"""Where both commands begin, before anything slow is imported: Ctrl-C in those seconds ends them without a word."""

from __future__ import annotations

from iafsweep.cli.leaving import leave_at_once


def run_single() -> None:
    """Run `run_single.py`."""
    leave_at_once()
    from iafsweep.cli.single import main

    main()


def run_sweep() -> None:
    """Run `run_sweep.py`."""
    leave_at_once()
    from iafsweep.cli.sweep import main

    main()
