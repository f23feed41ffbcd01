"""Families: parts of a run that a configuration field chooses by name.

A member is an entry of its family's registry. It says where its implementation is, as text, so that nothing is imported
before it is needed, and what the configuration knows of it, for most members their own section. Other packages add
members in the same form (:mod:`iafsweep.config.plugins`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, TypeVar

from pydantic import GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from iafsweep.config.section import Section
from iafsweep.errors import PluginError


class MemberConfig(Section):
    """Base class of a member's own section.

    Attributes:
        normalised: whether the member has batch norm where ``model.normalisation`` asks for it.
    """

    normalised: ClassVar[bool] = True


Sizes = TypeVar("Sizes", bound=MemberConfig)


@dataclass(frozen=True)
class Member:
    """One entry of a registry.

    Attributes:
        place: where its implementation is, ``module:name`` or ``module``; imported on first use.
        knows: its section of the configuration, the facts of a data source, or None.
        plugin: the plugin that it comes from; None if it is part of this package.
        version: the version of that plugin.
        absent: whether that plugin is known only from a file and is not loaded.
    """

    place: str
    knows: object = None
    plugin: str | None = None
    version: str = ""
    absent: bool = False

    @property
    def section(self) -> type[MemberConfig] | None:
        """Its section, if it has one."""
        knows = self.knows
        return knows if isinstance(knows, type) and issubclass(knows, MemberConfig) else None


class Family:
    """The registry of one family. As metadata of a field, it accepts only the names of its members.

    Args:
        path: the field that names a member, such as ``model.encoder.kind``.
        members: the members by the names that configurations use.

    Attributes:
        owner: the section whose fields include the members' sections.
    """

    def __init__(self, path: str, members: Mapping[str, Member]) -> None:
        self.path = path
        self.members = dict(members)
        self.owner: type[FamilyConfig] | None = None

    def add(self, kind: str, member: Member) -> None:
        """Add a member, and its section to the owner's fields. Models that contain the owner must then be rebuilt."""
        self.members[kind] = member
        if self.owner is not None and member.section is not None:
            field = FieldInfo(default_factory=member.section, annotation=member.section)
            self.owner.__pydantic_fields__[kind] = field
            self.owner.__annotations__[kind] = member.section
            self.owner.model_rebuild(force=True)

    def load(self, kind: str) -> Any:  # noqa: ANN401 - each family has a base of its own
        """Import a member.

        Raises:
            ValueError: no member has this name.
            PluginError: its plugin is not loaded, or what the member names is missing or cannot be imported.
        """
        if kind not in self.members:
            raise ValueError(f"unknown {self.path} {kind!r}; known: {', '.join(sorted(self.members))}")
        member = self.members[kind]
        if member.absent:
            raise PluginError(
                f"{self.path} = {kind!r} belongs to the plugin {member.plugin} {member.version}, which is not loaded; "
                f"add --plugin {member.plugin} (in Python: iafsweep.load_plugin({member.plugin!r}))"
            )
        module, _, name = member.place.partition(":")
        try:
            found = import_module(module)
            return getattr(found, name) if name else found
        except (Exception, SystemExit) as error:
            if member.plugin is None:
                raise
            raise PluginError(
                f"cannot load {member.place} of the plugin {member.plugin}: {type(error).__name__}: {error}; fix the "
                f"plugin"
            ) from error

    def checked(self, kind: str) -> str:
        """Return ``kind`` if a member has this name.

        Raises:
            PydanticKnownError: no member has this name.
        """
        if kind not in self.members:
            *names, last = (repr(name) for name in self.members)
            raise PydanticKnownError("literal_error", {"expected": " or ".join([", ".join(names), last])})
        return kind

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Add the check of names to the annotated field."""
        return core_schema.no_info_after_validator_function(self.checked, handler(source))


class FamilyConfig(Section):
    """A table with the ``kind`` of a family's member, and the section of each kind that has one.

    Attributes:
        family: the registry.
        kind: the chosen member.
    """

    family: ClassVar[Family]
    kind: str

    @classmethod
    def __pydantic_init_subclass__(cls, **given: object) -> None:
        """Add the sections of the family's members to the class."""
        cls.family.owner = cls
        for kind, member in cls.family.members.items():
            cls.family.add(kind, member)

    @property
    def chosen(self) -> MemberConfig | None:
        """The section of the chosen member; None if it has none."""
        section: MemberConfig | None = getattr(self, self.kind, None)
        return section

    def section(self, of: type[Sizes]) -> Sizes:
        """Return the section of the chosen member as one of type ``of``.

        Raises:
            TypeError: it is of another type.
        """
        if not isinstance(self.chosen, of):
            raise TypeError(f"{self.kind!r} has no {of.__name__}")
        return self.chosen
