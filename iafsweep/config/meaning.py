"""What stored configurations mean, whatever version wrote them.

A *later* field is one that format 1 did not have. In a file without it, the field has its *old meaning*: the value that
leaves everything as it was before the field existed, which is its default unless :class:`Before` says otherwise. For
the fields of format 1, ``format_1.json`` keeps the defaults of then, whatever they are now. What tells two
configurations apart (keys, seeds, hashes) leaves out later fields at their old meaning, so that it never changes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from iafsweep.config.section import Section
from iafsweep.version import Writer, take_stamp

Kept = Literal["configuration", "sweep", "procedure"]
"""What a file keeps: a configuration, the settings of a sweep, or its procedure."""


@dataclass(frozen=True)
class Before:
    """The old meaning of a later field, if not its default: ``Annotated[int, Before(1)] = Field(4, ...)``."""

    value: Any


class Where:
    """Marks a field that says where data are or how to read them; only what is found tells configurations apart."""


@cache
def _format_1() -> dict[str, dict[str, Any]]:
    text = resources.files("iafsweep.config").joinpath("format_1.json").read_text(encoding="utf-8")
    return {kept: dict(flattened(values)) for kept, values in json.loads(text).items()}


@cache
def old_meanings(section: type[Section], kept: Kept) -> Mapping[str, Any]:
    """Return the old meaning of every field by its dotted path: fields of format 1 in its order, then later ones."""
    first, now = _format_1().get(kept, {}), _now(section)
    return {path: first[path] for path in first if path in now} | {
        path: value for path, value in now.items() if path not in first
    }


def forget() -> None:
    """Clear the caches, after fields were added."""
    _now.cache_clear()
    old_meanings.cache_clear()
    where.cache_clear()


def filled(values: Mapping[str, Any], section: type[Section], kept: Kept) -> dict[str, Any]:
    """Return the values of a file, with missing fields at their old meaning."""
    whole = _copy(values)
    unset = whole.pop("unset", [])
    for path, meaning in old_meanings(section, kept).items():
        *tables, name = path.split(".")
        table: Any = whole
        for each in tables:
            table = table.setdefault(each, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):  # else the file has a value in place of a table, which validation will report
            table.setdefault(name, None if path in unset else meaning)
    return whole


def unknown(values: Mapping[str, Any], section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of keys that are not fields of ``section``."""
    for name, value in values.items():
        if name not in section.model_fields:
            yield f"{prefix}{name}"
        elif (below := _subsection(section, name)) is not None and isinstance(value, Mapping):
            yield from unknown(value, below, f"{prefix}{name}.")


def stored(config: Section, kept: Kept) -> dict[str, Any]:
    """Return what a file keeps of ``config``: every value, and under ``unset`` the unset fields that it must name.

    It must name those whose old meaning is a value. Any other field that the file lacks is unset when it is read.
    """
    values = config.model_dump(mode="json")
    meanings, leaves = old_meanings(type(config), kept), dict(flattened(values))
    unset = [path for path, meaning in meanings.items() if meaning is not None and leaves.get(path, meaning) is None]
    return ({"unset": unset} if unset else {}) | without_unset(values)


def identity(config: Section, kept: Kept, within: str = "") -> dict[str, Any]:
    """Return the values that tell ``config`` from others.

    They are those of all fields of format 1, in its order, and of later fields that are not at their old meaning.
    Fields marked :class:`Where` are left out.

    Args:
        config: all that a file keeps, or one section of it.
        kept: what the file keeps.
        within: the dotted path of the section; empty for all.
    """
    first = {
        path.removeprefix(f"{within}." if within else ""): value
        for path, value in _format_1().get(kept, {}).items()
        if path.startswith(within)
    }
    leaves, later = dict(flattened(config.model_dump(mode="json"))), _now(type(config))
    leaves = {path: value for path, value in leaves.items() if path not in where(type(config))}
    told: dict[str, Any] = {}
    for path in [*(each for each in first if each in leaves), *(each for each in leaves if each not in first)]:
        if path in first or path not in later or leaves[path] != later[path]:
            *tables, name = path.split(".")
            table = told
            for each in tables:
                table = table.setdefault(each, {})
            table[name] = leaves[path]
    return told


def without_unset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` without those that are None, which TOML cannot express."""
    return {
        name: without_unset(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if value is not None
    }


def refusal(values: dict[str, Any], section: type[Section]) -> tuple[Writer, str]:
    """Remove a file's stamp from its values; return its writer, and why the file is refused (empty if it is not)."""
    writer = take_stamp(values)
    strange = [path for path in unknown(values, section) if path != "unset"]
    return writer, writer.newer or (writer.unknown(f"`{strange[0]}`") if strange else "")


def _subsection(section: type[Section], name: str) -> type[Section] | None:
    annotation = section.model_fields[name].annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


@cache
def _now(section: type[Section]) -> dict[str, Any]:
    """Return, in the types of JSON, what the old meaning of every field would be if all were later ones."""
    declared = {path: mark.value for path, mark in _marks(section) if isinstance(mark, Before)}
    return dict(flattened(section().model_dump(mode="json"))) | declared


@cache
def where(section: type[Section]) -> frozenset[str]:
    """Return the dotted paths of the fields that are marked :class:`Where`."""
    return frozenset(path for path, mark in _marks(section) if isinstance(mark, Where))


def _marks(section: type[Section], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in section.model_fields.items():
        if (below := _subsection(section, name)) is not None:
            yield from _marks(below, f"{prefix}{name}.")
        for mark in field.metadata:
            yield f"{prefix}{name}", mark


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every leaf of nested tables."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, Mapping) else value for name, value in values.items()}
