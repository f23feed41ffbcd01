"""How a family's registry (one dict, name to class) is asked for a member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Member = TypeVar("Member")


def find_member(registry: Mapping[str, Member], family: str, name: str) -> Member:
    """Return the member called ``name``.

    Raises:
        ValueError: the family has no such member; the message lists those it has.
    """
    if name not in registry:
        raise ValueError(f"unknown {family} {name!r}; known: {', '.join(sorted(registry))}")
    return registry[name]
