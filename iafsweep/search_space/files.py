"""Search spaces as TOML files: read, checked, and written in full to the sweep's folder."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from iafsweep.config import RunConfig, get_path
from iafsweep.config.files import (
    SPACE_TABLES,
    STORED_TABLES,
    build_config,
    find_config,
    parse_overrides,
    read_toml,
    read_values,
    settled,
    with_values,
    written_by,
)
from iafsweep.config.meaning import filled, identity, old_meanings, refusal, stored, without_unset
from iafsweep.config.plugins import FAMILIES, stored_with_plugins, take_plugins
from iafsweep.config.problems import explain, known_paths, nearest, unknown_key
from iafsweep.config.sweep import NEW_SWEEPS, Procedure, SweepConfig
from iafsweep.errors import ConfigError
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import (
    Choice,
    ConfigValue,
    FloatRange,
    IntRange,
    Range,
    Scalar,
    as_config_value,
)
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.search_space.validation import check_first_points, check_space
from iafsweep.shown_command import run_command
from iafsweep.version import stamp

_RANGE_KEYS = {
    "choice": ("choice", "when"),
    "int": ("int", "step", "log", "when"),
    "float": ("float", "step", "log", "when"),
}

_EXAMPLES = "{ choice = [16, 32] }, { int = [0, 8] } or { float = [1e-4, 1e-2], log = true }"


def load_space(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    epochs: int | None = None,
    sweep: Mapping[str, object] | None = None,
) -> SearchSpace:
    """Read a search space from a TOML file and check all of it, so that nothing starts that cannot run.

    Args:
        path: the file, or the name of one shipped with the package.
        overrides: ``KEY=VALUE`` texts that take precedence over the file's fixed values.
        epochs: short for the override ``training.epochs=...``; None: as in the file.
        sweep: settings that take precedence over the file's ``[sweep]``; None leaves a setting as it is.

    Raises:
        ConfigError: the file or an override breaks a rule, or the file is a single configuration.
    """
    found = find_config(path)
    values = read_values(found)
    _refuse_misspelt_tables(found, values)
    if "search" not in values:
        if only := [f"[{table}]" for table in SPACE_TABLES if table in values]:
            raise ConfigError(
                f"{found} has {' and '.join(only)}, but no [search]: name at least one field there, as in "
                f'"training.learning_rate" = {{ float = [1e-4, 1e-2], log = true }}'
            )
        raise ConfigError(
            f"{found} is a single configuration (it has no [search]), not a search space; "
            f"train it: {run_command(path, *_as_options(overrides, epochs))}, or give it a [search] table"
        )
    changes = parse_overrides(overrides) | ({} if epochs is None else {"training.epochs": epochs})
    return checked_space(_space(found, values, changes, sweep or {}, NEW_SWEEPS), found)


def base_of_space(path: Path) -> RunConfig:
    """Return the base configuration of a space file, in which searched fields have their base values.

    Raises:
        ConfigError: the file breaks a rule; combinations of searched values are not checked.
    """
    values = read_values(path)
    _refuse_misspelt_tables(path, values)
    return _space(path, values, {}, {}, NEW_SWEEPS).base


def made_space(
    base: RunConfig,
    search: Mapping[str, tuple[Range, str | None]],
    sweep: Mapping[str, object],
    first: Sequence[Mapping[str, Scalar]] = (),
) -> SearchSpace:
    """Return a space that comes from no file, with the checks of :func:`load_space`.

    Args:
        base: the values of all fields that are not searched.
        search: the range and the ``when`` of each searched field, by its path.
        sweep: settings of ``[sweep]``.
        first: values to try first.

    Raises:
        ConfigError: a rule is broken.
    """
    parameters = []
    for path, (values, when) in search.items():
        if path not in known_paths():
            raise ConfigError(f"[search] {unknown_key(path)}")
        parameters.append(Parameter(path, values, None if when is None else parse_condition(when)))
    return checked_space(SearchSpace(base, tuple(parameters), _sweep(sweep, {}), first=tuple(first)), "SearchSpace")


def _as_options(overrides: Sequence[str], epochs: int | None) -> list[str]:
    given = [*overrides, *([] if epochs is None else [f"training.epochs={epochs}"])]
    return [word for each in given for word in ("--set", each)]


def read_stored_space(path: Path) -> SearchSpace:
    """Read a space that :func:`dump_space` wrote. It is complete and so has no ``base``.

    Fields that the file lacks have their old meaning (:mod:`iafsweep.config.meaning`). The rules on spaces are not
    checked again; :func:`checked_space` does that.

    Raises:
        ConfigError: the file is missing or damaged, has a ``base``, or needs a newer version.
    """
    values = read_toml(path)
    if "base" in values or "search" not in values:
        raise ConfigError(f"{path} is not a stored search space: it must have [search] and no `base`")
    version = values.get("written_by", "0.1.0")
    writer = {name: values[name] for name in stamp() if name in values}
    take_plugins(values, str(path))
    tables = {name: _table(path, name, values.pop(name, {})) for name in STORED_TABLES}
    for name, section in (("sweep", SweepConfig), ("procedure", Procedure)):
        known = {key: value for key, value in tables[name].items() if key != "try"}
        if refused := refusal(known | writer, section)[1]:
            raise ConfigError(f"{path}, [{name}], {refused}")
    try:
        values = settled(values, str(path))
        procedure = Procedure.model_validate(filled(tables.pop("procedure"), Procedure, "procedure"))
        tables["sweep"] = filled(tables["sweep"], SweepConfig, "sweep")
        return _space(path, values | tables, {}, {}, procedure)
    except ValidationError as error:
        raise written_by(explain(error, f"{path}, [procedure]"), version) from None
    except ConfigError as error:
        raise written_by(error, version) from None


def dump_space(space: SearchSpace) -> str:
    """Return ``space`` as TOML with its writer and every value, without a ``base`` file."""
    tables = stamp() | stored(space.base, "configuration") | _search_tables(space)
    tables["sweep"] = stored(space.sweep, "sweep") | _first_points(space)
    tables["procedure"] = stored(space.procedure, "procedure")
    return tomli_w.dumps(stored_with_plugins(tables, _named(space)))


def _named(space: SearchSpace) -> Iterator[tuple[str, object]]:
    """Yield the path and every value, fixed or searched, of the fields that may name members of plugins."""
    yield from (("sweep.sampler", space.sweep.sampler), ("sweep.scheduler", space.sweep.scheduler))
    yield from ((path, get_path(space.base, path)) for path in FAMILIES if not path.startswith("sweep."))
    for parameter in space.parameters:
        if isinstance(parameter.range, Choice):
            yield from ((parameter.path, value) for value in parameter.range.values)


def space_identity(space: SearchSpace, extent: frozenset[str]) -> str:
    """Return as text what tells ``space`` from others; it stays the same whatever fields later versions add.

    ``extent`` names the settings of the sweep that do not tell searches apart.
    """
    tables = without_unset(identity(space.base, "configuration")) | _search_tables(space)
    frozen = old_meanings(SweepConfig, "sweep")
    sweep = space.sweep.model_copy(update={name: frozen[name] for name in extent})
    tables["sweep"] = without_unset(identity(sweep, "sweep")) | _first_points(space)
    parts = stored(space.base, "configuration"), stored(sweep, "sweep"), stored(space.procedure, "procedure")
    unset = [path for each in parts for path in each.get("unset", [])]
    told = {"procedure": without_unset(identity(space.procedure, "procedure")), "unset": unset}
    return tomli_w.dumps(tables | {name: value for name, value in told.items() if value})


def _search_tables(space: SearchSpace) -> dict[str, Any]:
    fixed = {path: list(value) if isinstance(value, tuple) else value for path, value in space.fixed.items()}
    return {"fixed": fixed, "search": {parameter.path: _range_table(parameter) for parameter in space.parameters}}


def _first_points(space: SearchSpace) -> dict[str, Any]:
    return {"try": [dict(point) for point in space.first]} if space.first else {}


def checked_space(space: SearchSpace, origin: str | Path) -> SearchSpace:
    """Check all rules on ``space`` and return it with its first points in canonical form; errors name ``origin``.

    Raises:
        ConfigError: a rule is broken.
    """
    try:
        check_space(space)
        return replace(space, first=check_first_points(space, space.first))
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None


def _space(
    path: Path,
    values: dict[str, Any],
    changes: Mapping[str, Any],
    sweep_changes: Mapping[str, object],
    procedure: Procedure,
) -> SearchSpace:
    tables = {name: _table(path, name, values.pop(name, {})) for name in ("search", "fixed", "sweep")}
    try:
        digits = procedure.grid_digits
        parameters = tuple(_parameter(key, value, digits) for key, value in _flat("search", tables["search"]))
        fixed = {key: _fixed_value(key, value) for key, value in _flat("fixed", tables["fixed"])}
        searched = {parameter.path for parameter in parameters}
        if twice := [key for key in fixed if key in searched]:
            raise ConfigError(f"`{twice[0]}` is both in [fixed] and in [search]; keep one")
        if clash := [key for key in changes if key in searched]:
            raise ConfigError(
                f"`{clash[0]}` cannot be set to {changes[clash[0]]!r}: it is searched; take it out of [search]"
            )
        first = _points(tables["sweep"].get("try", []))
        sweep = _sweep({key: value for key, value in tables["sweep"].items() if key != "try"}, sweep_changes)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    fixed |= {key: _fixed_value(key, value) for key, value in changes.items()}
    base = build_config(with_values(values, fixed), f"{path} (searched fields at their base values)")
    try:
        return SearchSpace(base, parameters, sweep, tuple(fixed), tuple(first), procedure)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _refuse_misspelt_tables(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse an unknown table that is close to one of a space, before its fields are taken for a configuration's."""
    for key in values:
        if key in (*SPACE_TABLES, *RunConfig.model_fields):
            continue
        if meant := difflib.get_close_matches(key, [table for table in SPACE_TABLES if table not in values], n=1):
            raise ConfigError(f"{path}: unknown table [{key}]: did you mean [{meant[0]}]?")


def _table(path: Path, name: str, table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: `{name}` must be a table, [{name}], found {table!r}")
    return table


def _flat(table: str, values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of each field of a table whose keys are dotted paths, with or without quotes."""
    for key, value in values.items():
        path = f"{prefix}{key}"
        if path in known_paths():
            yield path, value
        elif isinstance(value, Mapping) and any(known.startswith(f"{path}.") for known in known_paths()):
            yield from _flat(table, value, f"{path}.")
        else:
            raise ConfigError(f"[{table}] {unknown_key(path)}")


def _points(points: object) -> list[dict[str, Any]]:
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise ConfigError(f"`sweep.try` must be tables, [[sweep.try]], found {points!r}")
    return [dict(_flat("sweep.try", point)) for point in points]


def _fixed_value(key: str, value: object) -> ConfigValue:
    try:
        return as_config_value(value)
    except ValueError as error:
        hint = "; a range belongs in [search]" if isinstance(value, Mapping) else ""
        raise ConfigError(f"[fixed] `{key}`: {error}{hint}") from None


def _sweep(table: Mapping[str, Any], changes: Mapping[str, object]) -> SweepConfig:
    known = tuple(SweepConfig.model_fields)
    given = {**table, **{key: value for key, value in changes.items() if value is not None}}
    for key in given:
        if key not in known:
            raise ConfigError(f"[sweep] unknown key `{key}`: {nearest(key, known)}")
    try:
        return SweepConfig.model_validate(given)
    except ValidationError as error:
        raise explain(error, "[sweep]") from None


def _parameter(path: str, table: object, digits: int | None) -> Parameter:
    try:
        if not isinstance(table, Mapping):
            raise ConfigError(
                f"expected a range such as {_EXAMPLES}, found {table!r}; one value alone belongs in [fixed]"
            )
        condition = table.get("when")
        if condition is not None and not isinstance(condition, str):
            raise ConfigError(f"`when` must be a text such as 'model.flow.depth > 0', found {condition!r}")
        return Parameter(path, _range(table, digits), None if condition is None else parse_condition(condition))
    except ValueError as error:  # a ConfigError is one
        raise ConfigError(f"[search] `{path}`: {error}") from None


def _range(table: Mapping[str, Any], digits: int | None) -> Range:
    kinds = [kind for kind in _RANGE_KEYS if kind in table]
    known = _RANGE_KEYS[kinds[0]] if kinds else (*_RANGE_KEYS, "step", "log", "when")
    if not kinds and (written := _as_written_here(table)):
        raise ConfigError(f"a range is written {written} here, found {_shown(table)}")
    for key in table:
        if key not in known and key not in kinds:
            raise ConfigError(f"unknown key `{key}`: {nearest(key, known)}")
    if len(kinds) != 1:
        raise ConfigError(f"a range has one of `choice`, `int` and `float`, found {' and '.join(kinds) or 'none'}")
    kind = kinds[0]
    if not isinstance(table[kind], list):
        raise ConfigError(f"`{kind}` must be a list, as in {_EXAMPLES}; found {table[kind]!r}")
    if kind == "choice":
        return Choice(tuple(as_config_value(value) for value in table[kind]))
    if len(table[kind]) != 2:
        raise ConfigError(f"`{kind}` must be the two ends [low, high], found {table[kind]!r}")
    if not isinstance(log := table.get("log", False), bool):
        raise ConfigError(f"`log` must be true or false, found {log!r}")
    low, high = table[kind]
    if kind == "int":
        return IntRange(low, high, table.get("step", 1), log)
    return FloatRange(low, high, table.get("step"), log, digits)


def _as_written_here(table: Mapping[str, Any]) -> str | None:
    """Return how to write here a range in the words of another tool; None if the words are unknown."""
    for words in ("values", "choices", "options", "categories"):
        if isinstance(table.get(words), list):
            return f"{{ choice = {json.dumps(table[words])} }}"
    for low, high in (("min", "max"), ("low", "high"), ("lower", "upper"), ("from", "to"), ("minimum", "maximum")):
        if low in table and high in table:
            kind = "int" if isinstance(table[low], int) and isinstance(table[high], int) else "float"
            log = ", log = true" if table.get("log") is True or "log" in str(table.get("distribution", "")) else ""
            return f"{{ {kind} = [{table[low]}, {table[high]}]{log} }}"
    return None


def _shown(table: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value, default=str)}" for key, value in table.items()) + " }"


def _range_table(parameter: Parameter) -> dict[str, Any]:
    table: dict[str, Any]
    match parameter.range:
        case Choice(values):
            table = {"choice": [list(value) if isinstance(value, tuple) else value for value in values]}
        case IntRange(low, high, step, log):
            table = {"int": [low, high], "step": step, "log": log}
        case FloatRange(low, high, step, log):
            table = {"float": [low, high], **({} if step is None else {"step": step}), "log": log}
    return table | ({} if parameter.when is None else {"when": parameter.when.text})
