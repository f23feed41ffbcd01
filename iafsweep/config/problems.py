"""Turn pydantic's findings into messages that a person can act on."""

import difflib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from iafsweep.config.run import RunSections
from iafsweep.config.section import Section, field_paths, may_be_unset
from iafsweep.errors import ConfigError

UNSET = "unset"
"""How a file, an override or a choice says that a field has no value."""
_NOTHING = ("", "none", "null", "nil", UNSET)
"""How other tools write that a field has no value."""


@cache
def known_paths() -> tuple[str, ...]:
    """Return the dotted path of every field of the configuration."""
    return tuple(field_paths(RunSections))


@cache
def unsettable() -> frozenset[str]:
    """Return the paths of the fields that may have no value."""
    return frozenset(path for path in known_paths() if may_be_unset(RunSections, path))


@cache
def _tables() -> tuple[str, ...]:
    """Every table of the configuration, by its dotted path."""
    return tuple(dict.fromkeys(path[:end] for path in known_paths() for end, sign in enumerate(path) if sign == "."))


def forget() -> None:
    """Clear the caches, after fields were added."""
    for each in (known_paths, unsettable, _tables):
        each.cache_clear()


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a phrase that suggests the nearest known name, or lists all of them if none is near.

    The last part of a dotted path is also compared, so that ``model.latent`` finds ``model.latent_size``. A field with
    exactly that last part in another table takes precedence.
    """
    same_field = [path for path in known if path.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    close = difflib.get_close_matches(name, same_field or known, n=1, cutoff=0.0 if same_field else 0.6)
    if not close:
        last_parts = {path.rsplit(".", 1)[-1]: path for path in reversed(known)}
        matches = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(last_parts), n=1, cutoff=0.6)
        close = [last_parts[match] for match in matches]
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(known)}"


def _siblings(path: str) -> list[str]:
    """Return the known keys and tables in the table of ``path``."""
    prefix = path.rsplit(".", 1)[0] + "." if "." in path else ""
    names = {prefix + known.removeprefix(prefix).split(".")[0] for known in known_paths() if known.startswith(prefix)}
    return sorted(names)


def unknown_key(path: str, *, is_table: bool = False) -> str:
    """Return the message for a key that is not a field; for a misspelt table it suggests a table of the same parent.

    ``is_table`` says that the value is a table.
    """
    if path in _tables():
        return f"`{path}` {_table_hint(path)}"
    tables = {table.rsplit(".", 1)[-1]: table for table in _siblings(path) if table in _tables()}
    if close := difflib.get_close_matches(path.rsplit(".", 1)[-1], tables, n=1, cutoff=0.75):
        return f"unknown table `{path}`: did you mean `[{tables[close[0]]}]`?"
    if wrong := _misspelt_table(path):
        return f"unknown key `{path}`: did you mean `{wrong}`?"
    hint = nearest(path, known_paths())
    if hint.startswith("known:"):
        hint = f"known here: {', '.join(_siblings(path)) or ', '.join(_siblings('x'))}"
    table = path if is_table else path.rpartition(".")[0]
    if table not in _tables() and f"{table.rpartition('.')[0]}.kind" in known_paths():  # a section of no known member
        hint += " (for a key of a plugin, name the plugin with --plugin, in Python with iafsweep.load_plugin)"
    return f"unknown key `{path}`: {hint}"


def explain(error: ValidationError, origin: str) -> ConfigError:
    """Return the findings of ``error`` as one error with a line per finding: its key, the rule and what was found."""
    lines = []
    for finding in error.errors():
        path = ".".join(str(part) for part in finding["loc"])
        if finding["type"] == "extra_forbidden":
            lines.append(unknown_key(path, is_table=isinstance(finding["input"], dict)))
            continue
        message = _in_words(finding, path)
        lines.append(f"{path}: {message}" if path else message)
    return ConfigError(f"{origin}: " + ("\n  ".join(["", *lines]) if len(lines) > 1 else lines[0]))


def _misspelt_table(path: str) -> str | None:
    """Return the known field that ``path`` is once its table is spelt right, as for ``modle.latent_size``."""
    table, _, field = path.rpartition(".")
    close = difflib.get_close_matches(table, _tables(), n=1, cutoff=0.75) if table and table not in _tables() else []
    meant = f"{close[0]}.{field}" if close else ""
    return meant if meant in known_paths() else None


def _table_hint(path: str) -> str:
    if path not in _tables():
        return "must be a table"
    fields = [name for name in known_paths() if name.startswith(f"{path}.")]
    fields = [name for name in fields if "." not in name.removeprefix(f"{path}.")] or fields
    return f"is a table, not a value; set one of its fields, such as `{fields[0]}`"


def _in_words(finding: ErrorDetails, path: str) -> str:
    """Return what is wrong and what was found, in our own words rather than pydantic's."""
    found, limits = finding["input"], finding.get("ctx", {})
    if finding["type"] == "value_error":
        return finding["msg"].removeprefix("Value error, ")
    if finding["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{_table_hint(path)}, found {found!r}"
    in_words = _WORDS.get(finding["type"])
    words = finding["msg"][:1].lower() + finding["msg"][1:] if in_words is None else in_words(limits)
    if isinstance(found, str) and found.lower() in _NOTHING:
        hint = "it always has a value" if path in known_paths() else "leave it out to have its default"
        hint = f'to leave it without a value write "{UNSET}"' if path in unsettable() else hint
        return f"{words}, found {found!r}; {hint}"
    return words if isinstance(found, Section | dict) else f"{words}, found {_short(found)}"


_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), lambda limits: "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), lambda limits: "must be a number"),
    "finite_number": lambda limits: "must be a finite number",
    "bool_type": lambda limits: "must be true or false",
    "string_type": lambda limits: "must be a text",
    **dict.fromkeys(("tuple_type", "list_type"), lambda limits: "must be a list in square brackets"),
    "too_short": lambda limits: f"must have more entries, at least {limits['min_length']}",
    "too_long": lambda limits: f"must have fewer entries, at most {limits['max_length']}",
    "literal_error": lambda limits: f"must be {limits['expected']}",
    "greater_than": lambda limits: f"must be greater than {_plain(limits['gt'])}",
    "greater_than_equal": lambda limits: f"must be at least {_plain(limits['ge'])}",
    "less_than": lambda limits: f"must be less than {_plain(limits['lt'])}",
    "less_than_equal": lambda limits: f"must be at most {_plain(limits['le'])}",
}


def _plain(limit: float) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_SHOWN = 80
