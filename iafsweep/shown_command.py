"""Commands as messages print them: to be pasted into the shell that the program was called from, and then to work."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Which = Literal["sweep", "run"]

_NAMES: dict[Which, tuple[str, str]] = {
    "sweep": ("run_sweep.py", "iafsweep-sweep"),
    "run": ("run_single.py", "iafsweep-run"),
}
"""Both command lines: the script of a checkout, and what an installation calls it."""

_COMPUTING = {"launch", "resume", "extend", "retry", "retrain", "rerun"}
_OF_ALL = ("--plugin",)
_OF_COMPUTING = (
    "--data-root",
    "--data-path",
    "--ray-folder",
    "--address",
    "--allow-no-authentication",
    "--dashboard",
    "--wait",
)
_OF_TRAINING = ("--tracker", "--hours")
_OF_RUN = ("--data-root", "--data-path", "--device", "--threads", "--tracker")
_FLAGS = {"--allow-no-authentication", "--dashboard", "--wait"}


def sweep_command(command: str, *words: object) -> str:
    """Return a command on sweeps, such as ``resume runs/quick-1``, as a line for a shell.

    What the command that runs now was told of data, Ray, tracker, plugins and hours is told again where it is needed.

    Args:
        command: its name.
        words: arguments and options; an absolute path below the working directory is shown from there.
    """
    kept = (*_OF_COMPUTING, *(_OF_TRAINING if command != "rerun" else ())) if command in _COMPUTING else ()
    return _line("sweep", [command, *words], (*_OF_ALL, *kept))


def run_command(*words: object) -> str:
    """Return a command on a single run as a line for a shell; else as :func:`sweep_command`."""
    return _line("run", words, (*_OF_ALL, *_OF_RUN))


def this_command() -> str:
    """Return the command that runs now, to be pasted into a shell."""
    return shlex.join([*program(), *sys.argv[1:]])


def install_command(extra: str) -> str:
    """Return the command that installs a group of optional packages into the environment that runs now."""
    root = Path(__file__).parent.parent
    what = ["-e", f"{root}[{extra}]"] if (root / "pyproject.toml").is_file() else [f"iafsweep[{extra}]"]
    return shlex.join([_in_shell(sys.executable, "python"), "-m", "pip", "install", *what])


def installed() -> str:
    """Return the path of the installed command that is the same as the script that was called."""
    names = next((names for names in _NAMES.values() if Path(sys.argv[0]).name in names), _NAMES["sweep"])
    return _in_shell(os.path.join(os.path.dirname(sys.executable), names[1]), names[1])


def program(which: Which | None = None) -> list[str]:
    """Return the words that call a command line of this package again from the working directory, in the same shell.

    A script is named as it was called, behind the interpreter that runs it; an installed command by its path, and both
    interpreter and command by their bare names where the shell finds them by those. Where neither was called, as in
    somebody's own script, the installed commands of the environment are meant.

    Args:
        which: of both; None: the one that was called.
    """
    called = sys.argv[0]
    if which is not None:
        called = _called(which)
    if called.endswith(".py"):
        return [_in_shell(sys.executable, "python") if sys.executable else "python", called]
    return [_in_shell(called, Path(called).name)]


def _called(which: Which) -> str:
    """The path of a command line, beside the one that was called if one was."""
    script, installed = _NAMES[which]
    name = Path(sys.argv[0]).name
    if any(name in names for names in _NAMES.values()):
        return os.path.join(os.path.dirname(sys.argv[0]), script if name.endswith(".py") else installed)
    return os.path.join(os.path.dirname(sys.executable), installed)


def _line(which: Which, words: Sequence[object], kept: Sequence[str]) -> str:
    shown = [_from_here(word) if isinstance(word, Path) else str(word) for word in words]
    return shlex.join([*program(which), *shown, *_given(kept, shown)])


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) and path != here else path)


def _given(options: Sequence[str], shown: Sequence[str]) -> list[str]:
    """What the command that runs now was given of ``options``; nothing of those that are ``shown`` anyway."""
    if not any(Path(sys.argv[0]).name in names for names in _NAMES.values()):
        return []
    found: list[str] = []
    words = iter(sys.argv[1:])
    for word in words:
        option, equals, value = word.partition("=")
        if option not in options or option in shown:
            continue
        found += [option] if option in _FLAGS else [option, value if equals else next(words, "")]
    return found


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
