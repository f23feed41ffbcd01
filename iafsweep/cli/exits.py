"""How a command line ends: one message for a user's mistake, and an exit code that says what happened.

0 done · 1 a fault of the program's (with a traceback) · 2 a mistake of the user's · 3 the training diverged ·
130 interrupted by Ctrl-C · 143 terminated by SIGTERM.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console

from iafsweep.errors import UserError
from iafsweep.interrupts import Terminated

USER_ERROR = 2
DIVERGED = 3
INTERRUPTED = 130
TERMINATED = 143


INTERRUPTS = (KeyboardInterrupt, Terminated)


def program() -> list[str]:
    """Return the words this program was called with: ``python run_sweep.py``, or an installed command's name."""
    called = sys.argv[0]
    return ["python", called] if called.endswith(".py") else [Path(called).name]


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
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Terminated:
        sys.exit(TERMINATED)


def code_of(interrupt: BaseException) -> int:
    """Return the exit code for Ctrl-C or SIGTERM."""
    return TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED


def _raise_terminated(signum: int, frame: FrameType | None) -> None:
    raise Terminated
