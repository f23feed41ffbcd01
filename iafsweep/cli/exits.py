"""How a command line ends: one message for a user's mistake, and an exit code that says what happened."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console

from iafsweep.errors import UserError
from iafsweep.interrupts import Terminated

EXIT_CODES = (
    "0 done (of a sweep also: stopped early by a budget or a disk that filled), 1 a fault of the program (of a sweep "
    "also: all its trials failed, or three in a row alike, or scoring), 2 a mistake in what was asked (or no memory, "
    "no disk), 3 diverged, 130 Ctrl-C, 143 SIGTERM"
)
"""As `--help` of both programs and the README tell them."""

USER_ERROR = 2
DIVERGED = 3
INTERRUPTED = 130
TERMINATED = 143


INTERRUPTS = (KeyboardInterrupt, Terminated)


def program() -> list[str]:
    """Return the words that call this program again from the working directory, in a shell such as it was called from.

    A script is named as it was called, behind the interpreter that runs it; an installed command by its path, and both
    interpreter and command by their bare names where the shell finds them by those.
    """
    called = sys.argv[0]
    if called.endswith(".py"):
        return [_in_shell(sys.executable, "python") if sys.executable else "python", called]
    return [_in_shell(called, Path(called).name)]


def this_command() -> str:
    """Return the command that runs now, to be pasted into a shell."""
    return shlex.join([*program(), *sys.argv[1:]])


def _in_shell(path: str, name: str) -> str:
    """Return ``name`` if the shell means ``path`` by it or there is no such path, else the shortest way to write it."""
    whole, found = os.path.abspath(path), shutil.which(name)  # links are not followed: an environment's python is one
    if not os.path.exists(whole) or (
        found is not None
        and os.path.dirname(os.path.abspath(found)) == os.path.dirname(whole)
        and os.path.samefile(found, whole)
    ):
        return name
    relative = os.path.relpath(whole)
    relative = relative if os.sep in relative else os.path.join(os.curdir, relative)
    return relative if len(relative) < len(whole) else whole


def run(app: typer.Typer) -> None:
    """Run a command line; a user's mistake is one message on standard error, without a traceback."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        app(prog_name=Path(sys.argv[0]).name)
    except UserError as error:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print("[bold red]error:[/] ", end="")
        console.print(str(error), markup=False)
        sys.exit(USER_ERROR)
    except INTERRUPTS as interrupt:
        _say_interrupted()
        sys.exit(code_of(interrupt))
    except SystemExit as end:
        if _is_left_interrupt(end):
            _say_interrupted()
        raise


def code_of(interrupt: BaseException) -> int:
    """Return the exit code for Ctrl-C or SIGTERM."""
    return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


def _is_left_interrupt(end: SystemExit) -> bool:
    """Whether Typer made it from a Ctrl-C that no command has handled: it keeps the exit code and says nothing."""
    error: BaseException | None = end
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _say_interrupted() -> None:
    behind_the_key = "\n" if sys.stderr.isatty() else ""
    print(f"{behind_the_key}Interrupted.", file=sys.stderr)


def _raise_terminated(signum: int, frame: FrameType | None) -> None:
    raise Terminated
