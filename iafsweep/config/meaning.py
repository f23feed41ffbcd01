"""What stored configurations mean, whichever version wrote them.

A *later* field is one that format 1 did not have. In a file without it the field has its *old meaning*, the value with
which everything is as it was before the field came: its default, unless :class:`Before` says otherwise. Of fields that
format 1 had, ``format_1.json`` keeps the defaults, whatever they are now. What tells two configurations apart (keys,
seeds, hashes) leaves out later fields at their old meaning, so that it stays what it was.
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
"""What files keep: a configuration, the settings of a sweep, how a sweep proposes and decides."""


@dataclass(frozen=True)
class Before:
    """The old meaning of a later field whose default is another: ``Annotated[int, Before(1)] = Field(4, ...)``."""

    value: Any


class Where:
    """Marks a field that says where something is, or how it is read: what is found tells configurations apart."""


@cache
def _format_1() -> dict[str, dict[str, Any]]:
    text = resources.files("iafsweep.config").joinpath("format_1.json").read_text(encoding="utf-8")
    return {kept: dict(flattened(values)) for kept, values in json.loads(text).items()}


@cache
def old_meanings(section: type[Section], kept: Kept) -> Mapping[str, Any]:
    """Return the old meaning of every field by its dotted path: those of format 1 in its order, then later ones."""
    first, now = _format_1().get(kept, {}), _now(section)
    return {path: first[path] for path in first if path in now} | {
        path: value for path, value in now.items() if path not in first
    }


def forget() -> None:
    """Forget what fields there are: some were added."""
    _now.cache_clear()
    old_meanings.cache_clear()
    where.cache_clear()


def filled(values: Mapping[str, Any], section: type[Section], kept: Kept) -> dict[str, Any]:
    """Return the values of a file with every field that it does not have at its old meaning."""
    whole = _copy(values)
    unset = whole.pop("unset", [])
    for path, meaning in old_meanings(section, kept).items():
        *tables, name = path.split(".")
        table: Any = whole
        for each in tables:
            table = table.setdefault(each, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):  # else the file has a value for a table, which whoever checks it will say
            table.setdefault(name, None if path in unset else meaning)
    return whole


def unknown(values: Mapping[str, Any], section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of keys that are no fields of ``section``."""
    for name, value in values.items():
        if name not in section.model_fields:
            yield f"{prefix}{name}"
        elif (below := _subsection(section, name)) is not None and isinstance(value, Mapping):
            yield from unknown(value, below, f"{prefix}{name}.")


def stored(config: Section, kept: Kept) -> dict[str, Any]:
    """Return what a file keeps of ``config``: every value, and in ``unset`` the unset fields that it must name.

    A field that is unset and not in the file has its old meaning when it is read, which for most is to be unset.
    """
    values = config.model_dump(mode="json")
    meanings, leaves = old_meanings(type(config), kept), dict(flattened(values))
    unset = [path for path, meaning in meanings.items() if meaning is not None and leaves.get(path, meaning) is None]
    return ({"unset": unset} if unset else {}) | without_unset(values)


def identity(config: Section, kept: Kept, within: str = "") -> dict[str, Any]:
    """Return the values that tell ``config`` from others: all of format 1, in its order, and later ones that differ.

    Fields that are marked :class:`Where` are left out. ``kept`` is what ``config`` is, or is a part of; ``within`` says
    which part, a dotted path.
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
    """Return ``values`` without those that are None, which TOML does not have."""
    return {
        name: without_unset(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if value is not None
    }


def refusal(values: dict[str, Any], section: type[Section]) -> tuple[Writer, str]:
    """Take a file's stamp out of its values; return who wrote it, and why another version's file cannot be read."""
    writer = take_stamp(values)
    strange = [path for path in unknown(values, section) if path != "unset"]
    return writer, writer.newer or (writer.unknown(f"`{strange[0]}`") if strange else "")


def _subsection(section: type[Section], name: str) -> type[Section] | None:
    annotation = section.model_fields[name].annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


@cache
def _now(section: type[Section]) -> dict[str, Any]:
    """The old meaning of every field, as JSON has it, were all of them later ones."""
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
    """Yield the dotted path and the value of everything in nested tables."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) if isinstance(value, Mapping) else value for name, value in values.items()}
