"""How a program ends: one message for a user error, and an exit code that tells what happened."""

import errno
import os
import sys
import warnings
from pathlib import Path

import typer
from rich.console import Console

from iafsweep.cli.console import print_anything, said
from iafsweep.errors import UserError
from iafsweep.shown_command import installed
from iafsweep.signals import HungUp, Terminated, raise_at_once

EXIT_CODES = (
    "0 done (for a sweep also: ended early by a budget or a full disk); 1 an error in the program (for a sweep also: "
    "every trial failed, three in a row failed in the same way, or scoring failed); 2 a mistake in the request, or not "
    "enough memory or disk space; 3 training diverged; 130, 143, 129 ended by Ctrl-C, SIGTERM, SIGHUP"
)
"""As shown by `--help` of both programs and, as a table, in the README."""

USER_ERROR, DIVERGED, INTERRUPTED, TERMINATED, HUNG_UP = 2, 3, 130, 143, 129

_OF_PATHS = (
    errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS
)  # fmt: skip
"""Errors caused by a path that the user gave, wherever they first occur."""

INTERRUPTS = (KeyboardInterrupt, Terminated)


def run(app: typer.Typer) -> None:
    """Run a program; print a user error as one message on standard error, without a traceback."""
    print_anything()
    raise_at_once()
    warnings.formatwarning = lambda message, *_, **__: f"Warning: {message}\n"
    try:
        app(prog_name=_completed_name())
    except UserError as error:
        _say_error(str(error))
        sys.exit(USER_ERROR)
    except OSError as error:
        if error.errno not in _OF_PATHS or error.filename is None:
            raise
        _say_error(f"cannot use {os.fsdecode(error.filename)}: {error.strerror}; name another place")
        sys.exit(USER_ERROR)
    except UnicodeEncodeError as error:
        if not any("\udc80" <= character <= "\udcff" for character in error.object):
            raise
        _say_error(
            f"{error.object} has bytes that are no text in this locale ({sys.getfilesystemencoding()}); take another "
            f"name, or set LC_ALL=C.UTF-8 if it is UTF-8"
        )
        sys.exit(USER_ERROR)
    except INTERRUPTS as interrupt:
        _say_interrupted()
        sys.exit(code_of(interrupt))
    except SystemExit as end:
        if _is_left_interrupt(end):
            _say_interrupted()
        raise


def _completed_name() -> str:
    """The program's name; when completion is requested for a script, the name of the installed command instead.

    A shell completes by the first word of a line, which for a script is the interpreter.
    """
    name = Path(sys.argv[0]).name
    if not name.endswith(".py") or not {"--install-completion", "--show-completion"}.intersection(sys.argv[1:]):
        return name
    command = installed()
    print(
        f"Shells complete by a line's first word, which here is python; this completion is for the command {command}",
        file=sys.stderr,
    )
    return Path(command).name


def _say_error(message: str) -> None:
    console, prefix = Console(stderr=True, highlight=False, soft_wrap=True), "error: "
    console.print("[bold red]error:[/] ", end="")
    console.print(said(console, prefix + message).removeprefix(prefix), markup=False)


def code_of(interrupt: BaseException) -> int:
    """Return the exit code for Ctrl-C, SIGTERM or SIGHUP."""
    if isinstance(interrupt, HungUp):
        return HUNG_UP
    return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


def _is_left_interrupt(end: SystemExit) -> bool:
    """Whether Typer made it from a Ctrl-C that no command handled; Typer then sets the exit code but prints nothing."""
    error: BaseException | None = end
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _say_interrupted() -> None:
    behind_the_key = "\n" if sys.stderr.isatty() else ""
    print(f"{behind_the_key}Interrupted.", file=sys.stderr)
