"""Commands in messages, written so that they work when pasted into the shell that the program was called from."""

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
"""Names of both command lines: the script in a checkout, and the installed command."""

_COMPUTING = {"launch", "resume", "extend", "retry", "retrain", "rerun"}
_PLUGGED = _COMPUTING | {"preview", "export-model"}
"""Commands that need the plugins of a sweep; the others only read what it recorded."""
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

_PLUGINS: dict[str, None] = {}
"""Plugins that a command must name, in the order in which they became known."""


def name_plugin(module: str) -> None:
    """Name a plugin from now on in every command that needs it: one not found automatically, or known to be missing."""
    _PLUGINS[module] = None


def plugin_options() -> list[str]:
    """Return the options that name these plugins on a command line."""
    return [word for name in _PLUGINS for word in ("--plugin", name)]


def sweep_command(command: str, *words: object) -> str:
    """Return a command on sweeps, such as ``resume runs/quick-1``, as a line for a shell.

    Options of the current command for data, Ray, tracker, plugins and hours are repeated where they are needed, and
    plugins that it lacks are named where they are needed (see :func:`name_plugin`).

    Args:
        command: its name.
        words: arguments and options; an absolute path below the working directory is shown relative to it.
    """
    kept = (*_OF_COMPUTING, *(_OF_TRAINING if command != "rerun" else ())) if command in _COMPUTING else ()
    return _line("sweep", [command, *words, *(plugin_options() if command in _PLUGGED else ())], (*_OF_ALL, *kept))


def run_command(*words: object) -> str:
    """Return a command on a single run as a line for a shell, as :func:`sweep_command` does for sweeps."""
    return _line("run", [*words, *plugin_options()], (*_OF_ALL, *_OF_RUN))


def this_command() -> str:
    """Return the current command as a line for a shell."""
    return shlex.join([*program(), *sys.argv[1:]])


def install_command(extra: str) -> str:
    """Return the command that installs an optional extra into the current environment."""
    root = Path(__file__).parent.parent
    what = ["-e", f"{root}[{extra}]"] if (root / "pyproject.toml").is_file() else [f"iafsweep[{extra}]"]
    return shlex.join([_in_shell(sys.executable, "python"), "-m", "pip", "install", *what])


def installed() -> str:
    """Return the path of the installed command that corresponds to the script that was called."""
    names = next((names for names in _NAMES.values() if Path(sys.argv[0]).name in names), _NAMES["sweep"])
    return _in_shell(os.path.join(os.path.dirname(sys.executable), names[1]), names[1])


def program(which: Which | None = None) -> list[str]:
    """Return the words that call a command line of this package from the working directory, in the same shell.

    A script is written as it was called, after its interpreter; an installed command is written as its path. The
    interpreter and the command are written as bare names if the shell finds them by these. If neither was called, as in
    a user's own script, the installed command of the environment is returned.

    Args:
        which: ``sweep`` or ``run``; None: the one that was called.
    """
    called = sys.argv[0]
    if which is not None:
        called = _called(which)
    if called.endswith(".py"):
        return [_in_shell(sys.executable, "python") if sys.executable else "python", called]
    return [_in_shell(called, Path(called).name)]


def _called(which: Which) -> str:
    """Return the path of a command line: beside the one that was called, if any, else in the environment."""
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
    """Return those of ``options`` that the current command was given, except the ones already in ``shown``."""
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
    """Return ``name`` if the shell resolves it to ``path`` or there is no such path, else the shortest form of it."""
    whole, found = os.path.abspath(path), shutil.which(name)  # keep links: the python of an environment is one
    if not os.path.exists(whole) or (
        found is not None
        and os.path.dirname(os.path.abspath(found)) == os.path.dirname(whole)
        and os.path.samefile(found, whole)
    ):
        return name
    relative = os.path.relpath(whole)
    relative = relative if os.sep in relative else os.path.join(os.curdir, relative)
    return relative if len(relative) < len(whole) else whole
