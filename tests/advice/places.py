"""Where the package's sources name a command or an option to a user, and which scenario pastes it there."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "iafsweep"
BUILDERS = {"sweep_command", "run_command", "this_command", "install_command", "resume_command", "report_command",
            "resume_options"}  # fmt: skip
"""Functions that return a command as it is shown."""
_NAMED = re.compile(
    r"(?<![\w-])--[a-z][a-z-]+"
    r"|\brun_(?:single|sweep)\.py|\biafsweep-(?:run|sweep)\b|\bpip install\b|\bmake (?:sweep|test|docs|gpu)\b"
    r"|\b(?:resume|rerun|retry|extend|retrain)\b"
    rf"|\b(?:{'|'.join(BUILDERS)})\(",
    re.IGNORECASE,
)
_WORD = re.compile(r"-{0,2}[a-z=-]+")
"""One option or name of a command, which is built into something or checked, not shown as advice."""
_ECHO = re.compile(r"^--[a-z-]+ (?:[\w.]+=)?\{[^}]*\}")
"""An option that begins a message is what was given."""
_DECLARATIONS = {"typer.Option", "typer.Argument", "Field"}
NO_ADVICE = {
    "texts.py": ("-m pip install ",),  # finds commands in texts
    "cli/sweep_output.py": ("there is nothing to resume",),
    "sweep/storage/stored_sweep.py": ("nothing to retry",),
    "training/comparison.py": ("may change on resume",),
    "sweep/cluster/health_check.py": ("--pids-limit",),  # of whatever runs containers
    "api/sweep.py": ("retrain needs whole numbers",),
    "config/sweep.py": ("`retrain` trains the best with more seeds",),
}
"""Texts that have such a word and advise nothing that could be pasted."""


class Place(NamedTuple):
    """A text or a call in the sources."""

    file: str
    line: int
    text: str


@cache
def places() -> list[Place]:
    """Every place that names a command or an option to a user."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        if file == "shown_command.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for line, text in _texts(tree, set(_passed_over(tree))):
            found.append(Place(file, line, text))
    return found


def advises(place: Place) -> bool:
    """Whether a place is not one of ``NO_ADVICE``."""
    return not any(said in place.text for said in NO_ADVICE.get(place.file, ()))


def _passed_over(tree: ast.AST) -> Iterator[int]:
    """Docstrings; help texts of options, which README's test parses."""
    for node in ast.walk(tree):
        is_declaration = isinstance(node, ast.Call) and ast.unparse(node.func) in _DECLARATIONS
        if is_declaration or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield id(node)


def _texts(node: ast.AST, passed_over: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in passed_over:
        return
    text = _text(node)
    if text is not None:
        advice = _ECHO.sub("", text)
        if _NAMED.search(advice) and not _WORD.fullmatch(advice):
            yield node.lineno, text
            return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from _texts(child, passed_over)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(
                each.value if isinstance(each, ast.Constant) else f"{{{ast.unparse(each.value)}}}" for each in values
            )
        case ast.Call(func=ast.Name(id=name)) if name in BUILDERS:
            return ast.unparse(node)
    return None


COVERED: list[tuple[str, str]] = []


def covers(file: str, *snippets: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say which places a test pastes: each snippet is a part of the text or the call that stands in ``file``."""
    COVERED.extend((file, snippet) for snippet in snippets)
    return lambda test: test
