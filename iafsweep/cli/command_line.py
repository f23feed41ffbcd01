"""The words that call this program again, to be pasted into a shell."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


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


def report_command(folder: Path, show: Sequence[str] = ()) -> list[str]:
    """Return the words that make the report again; they stand in it, so without an absolute path or a user's name."""
    from iafsweep.report.private import shareable

    words, here = program(), Path.cwd()
    words[-1] = os.path.relpath(words[-1]) if Path(words[-1]).is_relative_to(here) else words[-1]
    if any(os.path.isabs(word) or os.pardir in Path(word).parts or shareable(word) != word for word in words):
        words = ["iafsweep-sweep"]
    below = folder.relative_to(here) if folder.is_relative_to(here) and folder != here else Path(folder.name)
    shown = below.as_posix()
    options = [word for settings in show for word in ("--show", settings)]
    return [*words, "report", *options, shown if shareable(shown) == shown else folder.name]


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
