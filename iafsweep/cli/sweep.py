"""`run_sweep.py`: its commands, in the order of `--help`."""

from collections.abc import Callable

import typer

from iafsweep.cli import errors
from iafsweep.cli.commands.reading.compare import compare
from iafsweep.cli.commands.reading.data import data
from iafsweep.cli.commands.reading.export import export
from iafsweep.cli.commands.reading.export_model import export_model
from iafsweep.cli.commands.reading.list import list_sweeps
from iafsweep.cli.commands.reading.logs import logs
from iafsweep.cli.commands.reading.preview import preview
from iafsweep.cli.commands.reading.rehearse import rehearse
from iafsweep.cli.commands.reading.report import report
from iafsweep.cli.commands.reading.status import status
from iafsweep.cli.commands.running.extend import extend
from iafsweep.cli.commands.running.launch import launch
from iafsweep.cli.commands.running.rerun import rerun
from iafsweep.cli.commands.running.resume import resume
from iafsweep.cli.commands.running.retrain import retrain
from iafsweep.cli.commands.running.retry import retry
from iafsweep.cli.commands.running.stop import stop
from iafsweep.cli.options.groups import VersionOption, with_groups, with_plugins

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Sweep configurations with Ray Tune, rescore the best, and export the leaderboard. "
    f"Exit codes: {errors.EXIT_CODES}.",
)


@app.callback()
def base(version: VersionOption = False) -> None:
    """Options of the program itself."""


_BEGUN: tuple[Callable[..., None], ...] = (data, preview, rehearse, launch, resume, rerun)
_PUBLISHED: tuple[Callable[..., None], ...] = (export, export_model, compare, report)
_GOING_ON: tuple[Callable[..., None], ...] = (extend, retry, retrain, list_sweeps, status, stop, logs)
for _command in (*_BEGUN, *_PUBLISHED, *_GOING_ON):
    app.command("list" if _command is list_sweeps else None)(with_plugins(with_groups(_command)))


def main() -> None:
    """Entry point."""
    errors.run(app)
