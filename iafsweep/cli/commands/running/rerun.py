"""`run_sweep.py rerun`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.api.scoring.asked import Asked
from iafsweep.api.shown.faults import faults_in_words
from iafsweep.cli.console import loading, make_console
from iafsweep.cli.errors import INTERRUPTS, code_of
from iafsweep.cli.options.ray import Address, Cluster, Host, Machine, Wait
from iafsweep.cli.options.scoring import UntilError
from iafsweep.cli.options.sweep import Folder, Share, Top, refuse_other_folders, settings, trials
from iafsweep.config.files import parse_overrides
from iafsweep.shown_command import this_command
from iafsweep.signals import leaving_at_once


def rerun(
    folder: Folder,
    *,
    top: Top = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Importance samples per image.")] = None,
    hais: Annotated[
        str | None,
        typer.Option(
            help="`off`, or a start (`posterior`, `prior`, `base`), optionally with temperatures x leapfrog steps x "
            "chains: `prior:500x10x16`."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Score only this many test images, the first ones.")] = None,
    trial: Annotated[
        list[str] | None,
        typer.Option(help="Score this trial, such as `t0007`, instead of the best. Repeatable.", autocompletion=trials),
    ] = None,
    sandwich: Annotated[
        int | None,
        typer.Option(min=1, help="Measure lower and upper bounds on this many images simulated from each model."),
    ] = None,
    until: UntilError,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field of [evaluation]. Repeatable.")
    ] = None,
    share: Share,
    address: Address = None,
    wait: Wait = False,
    host: Host,
) -> None:
    """Score the best trials of a sweep on the test images; figures that exist already are not computed again.

    New figures are added to the existing ones. Methods for which no option is given keep their existing figures.

    - `run_sweep.py rerun runs/quick-1 --top 5 --samples 5000`
    - `run_sweep.py rerun runs/quick-1 --hais posterior:40x4x16 --images 200`
    - `run_sweep.py rerun runs/quick-1 --hais posterior --sandwich 100 --until-error 0.02 --budget-seconds 3600`
    """
    asked = Asked(samples, hais, images, sandwich, settings=until.changes | parse_overrides(overrides or []))
    refuse_other_folders(folder)
    with leaving_at_once(), loading("PyTorch"):
        import iafsweep.api.rerun
        import iafsweep.cli.sweep_output  # noqa: F401 - imported before the work starts
    machine = host.machine(Cluster(address, None, wait))
    changes = settings(share, top=top)
    raise typer.Exit(rerun_best(folder, changes, asked, machine, make_console(), trial or []))


def rerun_best(
    folder: Path,
    changes: Mapping[str, object],
    asked: Asked,
    machine: Machine,
    console: Console,
    trials: Sequence[str] = (),
) -> int:
    """Score the best trials or the given ``trials``, with ``changes`` to the sweep's settings and as ``asked``."""
    from iafsweep.api.news import Place
    from iafsweep.api.rerun import rerun as api_rerun
    from iafsweep.cli.sweep_output import SweepOutput

    output = SweepOutput(machine, console, this_command())
    with faults_in_words(folder.absolute(), this_command):
        place = Place(machine.options, machine.data_root, output, machine.data_path)
        try:
            with output.acknowledging():
                code, results = api_rerun(folder, changes, asked, place, trials)
        except INTERRUPTS as interrupt:  # while Ray starts, between two parts of the work, or a second signal
            output.print_interrupted()
            return code_of(interrupt)
        output.print_scored(results, code)
    return code
