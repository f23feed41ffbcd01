"""Options that several commands share, as fields of a dataclass: declared once, and shown where a command takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command`` as Typer can take it: each parameter that is a dataclass stands for its fields, in its place.

    Args:
        command: a function whose parameters are annotated as Typer wants them, or with such a dataclass.
    """
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    groups: dict[str, Any] = {each.name: each.annotation for each in parameters if is_dataclass(each.annotation)}
    shown: list[inspect.Parameter] = []
    for each in parameters:
        group = groups.get(each.name)
        shown += [each] if group is None else inspect.signature(group, eval_str=True).parameters.values()

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in shown]
    )
    run.__annotations__ = {each.name: each.annotation for each in shown}
    return run
