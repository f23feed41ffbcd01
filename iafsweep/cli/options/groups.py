"""Shared options as fields of a dataclass; `--version` and `--plugin`, which both programs have."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

from iafsweep.version import package_version


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command`` in a form for Typer: each dataclass parameter is replaced by its fields."""
    parameters = list(inspect.signature(command, eval_str=True).parameters.values())
    groups: dict[str, Any] = {each.name: each.annotation for each in parameters if is_dataclass(each.annotation)}
    shown: list[inspect.Parameter] = []
    for each in parameters:
        group = groups.get(each.name)
        shown += [each] if group is None else inspect.signature(group, eval_str=True).parameters.values()

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - options have any type
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


def _print_and_leave(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"iafsweep {package_version()}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_and_leave, is_eager=True, help="Print the version and exit.")
]


_Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="Load a module that adds encoders, flows, priors, ... from another package; plugins of installed packages "
        "load automatically. Repeatable.",
    ),
]


def with_plugins(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command``, whose annotations Typer understands, with `--plugin`; plugins load before it starts."""

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - options have any type
        from iafsweep.config.plugins import load_installed, load_plugins

        load_installed()
        load_plugins(given.pop("plugin") or ())
        command(**given)

    shown = inspect.signature(command)
    option = inspect.Parameter("plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Plugin)
    parameters = [*shown.parameters.values(), option]
    run.__signature__ = shown.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "plugin": _Plugin}
    return run
