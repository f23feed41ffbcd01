"""`--plugin`: which every command takes, since every one reads configurations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

_Plugin = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        help="Load a module that adds encoders, flows, priors, ... of another package; those of installed packages are "
        "found by themselves. Repeatable.",
    ),
]


def with_plugins(command: Callable[..., None]) -> Callable[..., None]:
    """Return ``command`` with the option; plugins are loaded before it begins.

    Args:
        command: a function whose parameters are annotated as Typer wants them.
    """

    @wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
        from iafsweep.config.plugins import load_installed, load_plugins

        load_installed()
        load_plugins(given.pop("plugin") or ())
        command(**given)

    shown = inspect.signature(command)
    option = inspect.Parameter("plugin", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Plugin)
    run.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[*shown.parameters.values(), option]
    )
    run.__annotations__ = {**command.__annotations__, "plugin": _Plugin}
    return run
