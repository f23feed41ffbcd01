"""Base class of every configuration section: frozen, typed, without unknown keys."""

from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One table of the configuration file.

    Instances are frozen. An unknown key, a wrong type or a value out of bounds is an error on construction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)


def field_paths(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every leaf field below ``section``, in order of definition."""
    for name, field in section.model_fields.items():
        path = f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from field_paths(field.annotation, f"{path}.")
        else:
            yield path


def may_be_unset(section: type[Section], path: str) -> bool:
    """Return whether the leaf field at a dotted path may be None."""
    *tables, name = path.split(".")
    for table in tables:
        inner = section.model_fields[table].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, Section)
        section = inner
    return NoneType in get_args(section.model_fields[name].annotation)


def get_path(section: Section, path: str) -> Any:  # noqa: ANN401 - a leaf may have any field's type
    """Return the value at a dotted path such as ``model.flow.depth``.

    Raises:
        AttributeError: there is no such field.
    """
    value: Any = section
    for part in path.split("."):
        value = getattr(value, part)
    return value
