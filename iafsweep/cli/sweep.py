"""`run_sweep.py`: its commands, in the order of `--help`."""

from __future__ import annotations

from collections.abc import Callable

import typer

from iafsweep.cli import errors
from iafsweep.cli.commands.compare import compare
from iafsweep.cli.commands.export import export
from iafsweep.cli.commands.export_model import export_model
from iafsweep.cli.commands.extend import extend
from iafsweep.cli.commands.launch import launch
from iafsweep.cli.commands.logs import logs
from iafsweep.cli.commands.preview import preview
from iafsweep.cli.commands.report import report
from iafsweep.cli.commands.rerun import rerun
from iafsweep.cli.commands.resume import resume
from iafsweep.cli.commands.retrain import retrain
from iafsweep.cli.commands.retry import retry
from iafsweep.cli.commands.status import status
from iafsweep.cli.commands.stop import stop
from iafsweep.cli.options.groups import with_groups
from iafsweep.cli.options.plugin import with_plugins
from iafsweep.cli.options.version import VersionOption

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Sweep configurations with Ray Tune, score the best again, and export the leaderboard. "
    f"Exit codes: {errors.EXIT_CODES}.",
)


@app.callback()
def base(version: VersionOption = False) -> None:
    """What holds for every command."""


_BEGUN: tuple[Callable[..., None], ...] = (preview, launch, resume, rerun)
_PUBLISHED: tuple[Callable[..., None], ...] = (export, export_model, compare, report)
_GOING_ON: tuple[Callable[..., None], ...] = (extend, retry, retrain, status, stop, logs)
for _command in (*_BEGUN, *_PUBLISHED, *_GOING_ON):
    app.command()(with_plugins(with_groups(_command)))


def main() -> None:
    """Entry point."""
    errors.run(app)
