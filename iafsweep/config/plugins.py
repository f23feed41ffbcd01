"""Plugins: members of families that other packages add.

A plugin is a module with ``MEMBERS``, a dict from the field that names a family's members to the new entries of its
registry. It is loaded only if the user names it (``--plugin MODULE``, :func:`load_plugin`) or has installed a package
with an entry point of the group ``iafsweep.plugins``, never because a file says so. Files keep the names, versions and
defaults of the plugins that they depend on, so that without a plugin all but the model itself can still be read.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import import_module, metadata
from typing import Any

from pydantic import create_model

from iafsweep.config import meaning, problems
from iafsweep.config.family import Family, Member, MemberConfig
from iafsweep.config.model import DECODERS, ENCODERS, FLOWS, HEADS, LIKELIHOODS, PRIORS, DecoderConfig, ModelConfig
from iafsweep.config.run import RunSections
from iafsweep.config.section import Section
from iafsweep.config.sources import SOURCES, About, SourceFacts
from iafsweep.config.sweep import SAMPLERS, SCHEDULERS
from iafsweep.errors import ConfigError, PluginError
from iafsweep.shown_command import name_plugin

_ALL = (SOURCES, ENCODERS, DECODERS, HEADS, FLOWS, PRIORS, LIKELIHOODS, SAMPLERS, SCHEDULERS)

FAMILIES = {family.path: family for family in _ALL}
"""Every family that takes members of other packages, by the field that names a member."""

_GROUP = "iafsweep.plugins"
_KEY = "plugins"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}")


_LOADED: dict[str, None] = {}
"""The names of the modules of all loaded plugins, in the order in which they were loaded."""


def load_plugin(name: str) -> None:
    """Load a plugin: import its module, and add its members to their families.

    Call it before you make or read configurations that name its members. A second call does nothing.

    Args:
        name: the name of the module.

    Raises:
        PluginError: there is no such module, it cannot be imported, or one of its members is not valid.
    """
    _load(name, asked=True)


def load_plugins(names: Iterable[str]) -> None:
    """Load several plugins, as :func:`load_plugin` does."""
    for name in names:
        _load(name, asked=True)


def load_installed() -> None:
    """Load the plugins of all installed packages.

    Raises:
        PluginError: as :func:`load_plugin`.
    """
    for entry in metadata.entry_points(group=_GROUP):
        _load(entry.value.partition(":")[0], asked=False)


def loaded_names() -> tuple[str, ...]:
    """Return the names of all loaded plugins, for other processes of the same program to load."""
    return tuple(_LOADED)


def _load(name: str, *, asked: bool) -> None:
    if name in _LOADED:
        return
    if not name or "/" in name or name.startswith(".") or name.endswith(".py"):
        raise PluginError(
            f"cannot load the plugin {name!r}: give the name of its module, as after `import`, not a path; for "
            f"my_plugin.py that is my_plugin, with its folder in PYTHONPATH"
        )
    try:
        module = import_module(name)
    except (Exception, SystemExit) as error:
        remedy = _remedy(name, error) if asked else "fix or uninstall the package that provides it"
        raise PluginError(f"cannot load the plugin {name}: {type(error).__name__}: {error}; {remedy}") from error
    version = _version(name, module)
    members = list(_members(name, version, getattr(module, "MEMBERS", None)))
    for family, kind, member in members:
        family.add(kind, member)
    _LOADED[name] = None
    if asked:
        name_plugin(name)
    _rebuild()


def _remedy(name: str, error: BaseException) -> str:
    """Return what to do about a plugin that cannot be imported: name another module, or fix this one."""
    if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
        return "name a module that Python finds (installed, or in a folder of PYTHONPATH)"
    return "fix the plugin, or install what it imports" if isinstance(error, ImportError) else "fix the plugin"


def _version(name: str, module: object) -> str:
    try:
        return metadata.version(name.partition(".")[0])
    except metadata.PackageNotFoundError:
        return str(getattr(module, "__version__", "of unknown version"))


def _members(name: str, version: str, given: object) -> Iterable[tuple[Family, str, Member]]:
    """Yield the members that a module adds, each checked."""
    if not isinstance(given, Mapping) or not all(isinstance(lines, Mapping) for lines in given.values()):
        raise PluginError(
            f"{name} is no plugin: it has no MEMBERS, a dict of dicts such as "
            f'{{"model.encoder.kind": {{"linear": Member("{name}:LinearEncoder", LinearConfig)}}}}'
        )
    for path, lines in given.items():
        family = FAMILIES.get(path)
        if family is None:
            raise PluginError(f"the plugin {name}: MEMBERS has {path!r}; families are {', '.join(FAMILIES)}")
        for kind, member in lines.items():
            if problem := _problem(family, kind, member):
                raise PluginError(f"the plugin {name}: {path} = {kind!r} {problem}")
            yield family, kind, replace(member, plugin=name, version=version, absent=False)


def _problem(family: Family, kind: object, member: object) -> str:
    """Return what is wrong with a member, in words; empty if nothing is."""
    if not isinstance(kind, str) or not _NAME.fullmatch(kind):
        return "is not a valid name; use lower-case letters, digits and underscores"
    if not isinstance(member, Member):
        return f"must be a Member, found {member!r}"
    there = family.members.get(kind)
    if there is not None and not there.absent:
        return f"exists already, from {there.plugin or 'iafsweep'}; choose another name"
    if there is None and (owner := family.owner) is not None and (kind in owner.model_fields or hasattr(owner, kind)):
        return "is a word of the configuration already; choose another name"
    if family is SOURCES:
        return "" if isinstance(member.knows, SourceFacts) else "needs SourceFacts"
    if member.knows is None:
        return ""
    if member.section is None or family.owner is None:
        return "must have as `knows` " + ("a subclass of MemberConfig or None" if family.owner is not None else "None")
    try:
        member.section()
    except ValueError as error:
        return f"has a section whose fields have no legal defaults: {error}"
    return ""


def _rebuild() -> None:
    """Rebuild everything that depends on the fields, after some were added."""
    DecoderConfig.model_rebuild(force=True)
    ModelConfig.model_rebuild(force=True)
    whole: list[type[RunSections]] = [RunSections, *RunSections.__subclasses__()]
    for each in whole:
        each.model_rebuild(force=True)
    meaning.forget()
    problems.forget()


def stored_with_plugins(values: dict[str, Any], named: Iterable[tuple[str, object]]) -> dict[str, Any]:
    """Return the values that a file keeps, with a table of the plugins that it depends on.

    Sections of other plugins are left out, so that the file can be read without them.

    Args:
        values: all tables; modified.
        named: pairs of path and value, of all fields that may name members.
    """
    chosen = set(named)
    used: dict[str, dict[str, dict[str, Any]]] = {}
    for path, family in FAMILIES.items():
        for kind, member in family.members.items():
            if member.plugin is None:
                continue
            if (path, kind) in chosen or not _drop_defaults(values, path, kind, member):
                used.setdefault(member.plugin, {}).setdefault(path, {})[kind] = _said(member)
    told = {name: {"version": _version_of(name), "members": json.dumps(said)} for name, said in used.items()}
    return values | ({_KEY: told} if told else {})


def _drop_defaults(values: dict[str, Any], path: str, kind: str, member: Member) -> bool:
    """Remove a member's section if it holds nothing but defaults; return whether it is gone."""
    table: Any = values
    for each in path.split(".")[:-1]:
        table = table.get(each, {})
    if kind not in table:
        return True
    if table[kind] != meaning.without_unset(_said(member)):
        return False
    del table[kind]
    return True


def _said(member: Member) -> Any:  # noqa: ANN401 - JSON
    """What a file keeps of a member: the defaults of its section, the facts of a data source."""
    if member.section is not None:
        return member.section().model_dump(mode="json")
    return list(member.knows._asdict().items()) if isinstance(member.knows, SourceFacts) else None


def _version_of(name: str) -> str:
    members = (member for family in FAMILIES.values() for member in family.members.values())
    return next(member.version for member in members if member.plugin == name)


def take_plugins(values: dict[str, Any], origin: str) -> None:
    """Remove the table of plugins from a file's values, and register the members of unloaded ones as absent.

    Raises:
        ConfigError: the table is damaged.
    """
    told = values.pop(_KEY, {})
    try:
        absent = [
            (FAMILIES[path], kind, Member("", _known(kind, said), str(name), str(plugin["version"]), absent=True))
            for name, plugin in told.items()
            for path, lines in json.loads(plugin["members"]).items()
            for kind, said in lines.items()
            if path in FAMILIES and kind not in FAMILIES[path].members  # a later version may have other families
        ]
        if problems_found := [text for family, kind, member in absent if (text := _problem(family, kind, member))]:
            raise ValueError(problems_found[0])
    except (ValueError, KeyError, TypeError, AttributeError, NameError) as error:
        raise ConfigError(f"{origin}: its table [plugins] is damaged ({error}); restore the file") from None
    for family, kind, member in absent:
        family.add(kind, member)
        name_plugin(str(member.plugin))
    if absent:
        _rebuild()
    for name, plugin in told.items():
        if name in _LOADED and (loaded := _version_of(name)) != plugin["version"]:
            warnings.warn(
                f"this was made with the plugin {name} {plugin['version']}, and {loaded} is loaded: what it computes "
                f"may differ",
                stacklevel=2,
            )


def _known(name: str, said: Any) -> object:  # noqa: ANN401 - JSON
    if said is None:
        return None
    if isinstance(said, list):
        facts = {field: value for field, value in said if field in SourceFacts._fields}
        return SourceFacts(**facts | {"image_shape": tuple(facts["image_shape"]), "about": About(*facts["about"])})
    return _placeholder(name, said, MemberConfig)


def _placeholder(name: str, said: Mapping[str, Any], base: type[Section]) -> type[Section]:
    """Return a section with fields of these names and defaults, which accepts any values."""
    if strange := [field for field in said if not _NAME.fullmatch(field) or hasattr(base, field)]:
        raise ValueError(f"a field cannot be called {strange[0]!r}")
    fields: dict[str, Any] = {
        field: (_placeholder(field, value, Section), {}) if isinstance(value, Mapping) else (Any, value)
        for field, value in said.items()
    }
    made: type[Section] = create_model(name, __base__=base, **fields)
    return made
