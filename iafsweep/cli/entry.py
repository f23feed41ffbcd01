"""Where both commands begin, before anything slow is imported: Ctrl-C in those seconds ends them at once."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from iafsweep.signals import leave_at_once


def run_single() -> None:
    """Run `run_single.py`."""
    leave_at_once()
    _plain_text_if_asked()
    with _missing_packages_in_words():
        from iafsweep.cli.single import main

    main()


def run_sweep() -> None:
    """Run `run_sweep.py`."""
    leave_at_once()
    _plain_text_if_asked()
    with _missing_packages_in_words():
        from iafsweep.cli.sweep import main

    main()


def _plain_text_if_asked() -> None:
    """With NO_COLOR a terminal gets what a pipe does: no escape sequences, nothing redrawn; of `--help` too."""
    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("TTY_COMPATIBLE", "0")  # Rich's word for it


@contextmanager
def _missing_packages_in_words() -> Iterator[None]:
    """Say which interpreter to take where another one runs us, which has not what we need; exit code 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "iafsweep":
            raise
        script = sys.argv[0]
        ours = os.path.join(os.path.dirname(script), ".venv", "bin", "python")
        print(
            f"error: {sys.executable} has no package {missing}; run this with the interpreter of the environment that "
            f"`make sweep` makes: {shlex.join([ours, *sys.argv])}",
            file=sys.stderr,
        )
        sys.exit(2)
