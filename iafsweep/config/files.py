"""Configurations as TOML files, with a base file and overrides."""

import codecs
import os
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from iafsweep.config.meaning import filled, refusal, stored
from iafsweep.config.plugins import FAMILIES, stored_with_plugins, take_plugins
from iafsweep.config.problems import UNSET, explain, known_paths, unknown_key, unsettable
from iafsweep.config.run import RunSections
from iafsweep.config.section import get_path
from iafsweep.errors import ConfigError
from iafsweep.shown_command import sweep_command
from iafsweep.version import VERSION, stamp

SPACE_TABLES = ("search", "fixed", "sweep")
STORED_TABLES = (*SPACE_TABLES, "procedure")
"""What a stored search space has in addition to a configuration."""
_MAXIMUM_BASES = 8
_MAXIMUM_NESTING = 20


class RunConfig(RunSections):
    """One configuration: what to train, on what, how, and how to score it. It is immutable.

    docs/configuration.md lists its fields, which you read by their dotted paths: ``config.model.flow.depth``.
    """

    def with_values(self, changes: Mapping[str, Any]) -> "RunConfig":
        """Return the same configuration with other values.

        Args:
            changes: values by the dotted paths of their fields; None for no value.

        Raises:
            ConfigError: a path is not a field, or a rule is broken; the message says where, what was found and what to
                do.

        Example:
            >>> import iafsweep
            >>> config = iafsweep.load_config("quick").with_values({"model.latent_size": 8, "training.epochs": 1})
            >>> config.model.latent_size, config.training.epochs
            (8, 1)
            >>> config.with_values({"model.latent": 8})
            Traceback (most recent call last):
            iafsweep.errors.ConfigError: unknown key `model.latent`: did you mean `model.latent_size`?
        """
        return build_config(with_values(self.model_dump(), changes), "the configuration with these values")


def read_toml(path: Path, base_of: Path | None = None) -> dict[str, Any]:
    """Parse a TOML file; ``base_of`` is the file that names it as its base, for messages.

    Raises:
        ConfigError: the file is missing, unreadable or not TOML; the message names the file and the place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
        if "\0" in text:
            raise ConfigError(f"cannot read {path}: it is UTF-16; save it as UTF-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        asked = "" if base_of is None else f", the base of {base_of}"
        raise ConfigError(f"no such configuration: {path}{asked}{_bundled_hint()}") from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read {path}: {_encoding(error)}; save it as UTF-8") from None
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:  # tomllib lets some of Python's own errors through
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    if _nested_too_deep(values):
        raise ConfigError(f"{path}: tables and lists are nested more than {_MAXIMUM_NESTING} deep; write it flatter")
    return values


def _encoding(error: UnicodeDecodeError) -> str:
    """Say what the encoding is of a file that is not UTF-8."""
    content, place = error.object, error.start
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        return "it is UTF-16"
    line = content.count(b"\n", 0, place) + 1
    return (
        f"it is not UTF-8 but perhaps latin-1, in which byte {content[place]:#x} in line {line} is "
        f"{content[place : place + 1].decode('latin-1')!r}"
    )


def _nested_too_deep(values: dict[str, Any]) -> bool:
    level: list[Any] = [values]
    for _ in range(_MAXIMUM_NESTING):
        children = [child for part in level for child in (part.values() if isinstance(part, dict) else part)]
        level = [child for child in children if isinstance(child, dict | list)]
    return bool(level)


def find_config(name: str | Path) -> Path:
    """Return the path of a configuration: the file as named, or one that is shipped (``quick`` or ``quick.toml``)."""
    path = Path(name)
    if os.path.exists(path) or len(path.parts) > 1:  # unlike Path.exists, no error for a name too long
        return path
    bundled = bundled_folder() / (path.name if path.suffix == ".toml" else f"{path.name}.toml")
    return bundled if os.path.exists(bundled) else path


def bundled_folder() -> Path:
    """Return the folder of the shipped search spaces: inside an installed package, or beside it in a checkout."""
    installed = Path(str(resources.files("iafsweep"))) / "search_spaces"
    return installed if installed.exists() else installed.parent.parent / "search_spaces"


def _bundled_hint() -> str:
    names = sorted(file.stem for file in bundled_folder().glob("*.toml"))
    return f"; give a path, or one of those shipped: {', '.join(names)}" if names else "; give the path of a TOML file"


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` overridden by the values of ``over``, with tables merged key by key."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def read_values(path: Path) -> dict[str, Any]:
    """Return the tables of a configuration file merged over those of its ``base`` files.

    ``base`` is a path relative to the file that names it, or the name of a file shipped with the package. Tables that
    only a search space has (``search``, ``fixed``, ``sweep``) are returned as they are in ``path`` itself; a base must
    not have them.

    Raises:
        ConfigError: a file cannot be read, a base is a search space, or the bases go in a circle.
    """
    values = _read_stamped(path)
    chain = [path]
    while (base := values.pop("base", None)) is not None:
        if not isinstance(base, str):
            raise ConfigError(f"{chain[-1]}: `base` must be the path of a TOML file, found {base!r}")
        if len(chain) > _MAXIMUM_BASES:
            raise ConfigError(f"{path}: a chain of more than {_MAXIMUM_BASES} bases; do they go in a circle?")
        beside = chain[-1].parent / base
        chain.append(beside if os.path.exists(beside) else find_config(base))
        below = _read_stamped(chain[-1], chain[-2])
        if spaces := [table for table in SPACE_TABLES if table in below]:
            raise ConfigError(f"{path}: base {chain[-1].name} is a search space (it has [{spaces[0]}]); a base is not")
        if "title" in values:
            below.pop("title", None)
        values = merge(below, values)
    return values


def nested(path: str, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any TOML value
    """Return ``{"a": {"b": value}}`` for the dotted path ``a.b``."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


def with_values(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with each dotted path of ``changes`` set.

    Raises:
        ConfigError: a path is not a field of the configuration.
    """
    merged = dict(values)
    for path, value in changes.items():
        if path not in known_paths():
            raise ConfigError(unknown_key(path))
        merged = merge(merged, nested(path, value))
    return merged


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` texts. A value is read as TOML, or taken as a string if it is not TOML.

    Raises:
        ConfigError: a text has no ``=``, or its key is unknown.
    """
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        key, text = key.strip(), text.strip()
        if not equals or not text:
            raise ConfigError(f"override {override!r} is not KEY=VALUE; write for example model.latent_size=32")
        if key not in known_paths():
            raise ConfigError(f"override {override!r}: {unknown_key(key)}")
        if "\n" in text or "\r" in text:
            raise ConfigError(f"override {override!r} has more than one line; give each KEY=VALUE a --set of its own")
        try:
            changes[key] = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            changes[key] = text
    return changes


def build_config(values: Mapping[str, Any], origin: str) -> RunConfig:
    """Check ``values`` and return them as a configuration. ``"unset"`` becomes None in fields that may have no value.

    Raises:
        ConfigError: rules are broken; the message names ``origin``, such as a file, and every broken rule.
    """
    try:
        return RunConfig.model_validate(_with_none(values))
    except ValidationError as error:
        raise explain(error, origin) from None


def _with_none(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``values`` with None for ``"unset"`` in fields that may have no value."""
    return {
        key: _with_none(value, f"{prefix}{key}.")
        if isinstance(value, Mapping)
        else None
        if value == UNSET and f"{prefix}{key}" in unsettable()
        else value
        for key, value in values.items()
    }


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read one configuration from a TOML file.

    Args:
        path: the file, or the name of one shipped with the package.
        overrides: ``KEY=VALUE`` texts that take precedence over the file.

    Raises:
        ConfigError: the file or an override breaks a rule, or the file is a search space.
    """
    found = find_config(path)
    values = read_values(found)
    if "search" in values:
        given = [path, *(word for each in overrides for word in ("--set", each))]
        raise ConfigError(
            f"{found} is a search space (it has [search]), not a single configuration; "
            f"launch it: {sweep_command('launch', *given)}, or see its configurations: "
            f"{sweep_command('preview', *given)}"
        )
    if tables := [f"[{table}]" for table in SPACE_TABLES if table in values]:
        raise ConfigError(
            f"{found} has {' and '.join(tables)}, which only a search space has, but no [search]: add [search], or, "
            f'for a single configuration, write "data.source" = ... of [fixed] as data.source = ..., without quotes'
        )
    return build_config(with_values(values, parse_overrides(overrides)), str(found))


def _read_stamped(path: Path, base_of: Path | None = None) -> dict[str, Any]:
    """Parse a file that a person wrote, or copied from a run or a sweep; fields missing in a copy are filled in."""
    values = read_toml(path, base_of)
    if "format" not in values:
        return values
    tables = {name: values.pop(name) for name in SPACE_TABLES if name in values}
    values.pop("procedure", None)  # that of the sweep it was copied from; a new sweep has its own
    return settled(values, str(path)) | tables


def settled(values: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return the values of a stored configuration, with missing fields at their old meaning.

    Raises:
        ConfigError: another version wrote it, in a newer format or with fields that this version does not know.
    """
    take_plugins(values, origin)
    writer, refused = refusal(values, RunConfig)
    if refused and (writer.version != VERSION or writer.newer):
        raise ConfigError(f"{origin} {refused}")
    return filled(values, RunConfig, "configuration")


def build_stored(values: dict[str, Any], origin: str) -> RunConfig:
    """Check the values of a stored configuration, whatever version wrote it, and return them as a configuration.

    Raises:
        ConfigError: as :func:`settled`, or a rule is broken.
    """
    version = values.get("written_by", "0.1.0")
    try:
        return build_config(settled(values, origin), origin)
    except ConfigError as error:
        raise written_by(error, version) from None


def written_by(error: ConfigError, version: object) -> ConfigError:
    """Return ``error`` with the version that wrote the file, unless it is this one or the message names it already."""
    said = f"written by iafsweep {version}"
    return error if version == VERSION or said in str(error) else ConfigError(f"{error} ({said}, this is {VERSION})")


def read_stored_config(path: Path) -> RunConfig:
    """Read a configuration that the program wrote, which is complete and so has no base.

    Raises:
        ConfigError: it cannot be read, breaks a rule, names a base, or needs a newer version.
    """
    values = read_toml(path)
    if "base" in values:
        raise ConfigError(f"{path} names a base, {values['base']!r}, but a run's configuration stands alone: remove it")
    return build_stored(values, str(path))


def dump_config(config: RunConfig) -> str:
    """Return ``config`` as TOML with its writer and every value, so that later defaults change nothing."""
    named = ((path, get_path(config, path)) for path in FAMILIES if path in known_paths())
    return tomli_w.dumps(stamp() | stored_with_plugins(stored(config, "configuration"), named))
