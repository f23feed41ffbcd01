"""Entry points of both programs. Nothing slow is imported before them, so Ctrl-C works at once during start-up."""

import atexit
import gc
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from iafsweep.signals import leave_at_once


def run_single() -> None:
    """Run `run_single.py`."""
    _begin()
    with _missing_packages_in_words():
        from iafsweep.cli.single import main

    main()


def run_sweep() -> None:
    """Run `run_sweep.py`."""
    _begin()
    with _missing_packages_in_words():
        from iafsweep.cli.sweep import main

    main()


def _begin() -> None:
    leave_at_once()
    _plain_text_if_asked()
    atexit.register(gc.freeze)  # a last search for garbage among all that PyTorch and Ray have loaded takes a second


def _plain_text_if_asked() -> None:
    """With NO_COLOR set, write to a terminal as to a pipe: no escape sequences, nothing redrawn, in `--help` too."""
    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("TTY_COMPATIBLE", "0")  # the variable that Rich reads


@contextmanager
def _missing_packages_in_words() -> Iterator[None]:
    """If this interpreter lacks a package we need, name the interpreter to use and exit with code 2."""
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
