"""The option that tells the version, for both command lines."""

from __future__ import annotations

from typing import Annotated

import typer

from iafsweep.version import package_version


def _print_and_leave(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"iafsweep {package_version()}")
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option("--version", callback=_print_and_leave, is_eager=True, help="Print the version and exit."),
]
