"""`run_sweep.py retrain`."""

from typing import Annotated

import typer

from iafsweep.api.shown.faults import faults_in_words
from iafsweep.cli.console import loading
from iafsweep.cli.options.ray import Cluster, Host
from iafsweep.cli.options.sweep import Folder, Hours, Share, refuse_other_folders, settings
from iafsweep.shown_command import this_command
from iafsweep.signals import leaving_at_once


def retrain(
    folder: Folder,
    *,
    top: Annotated[int, typer.Option(min=1, help="Number of best trials to retrain.")] = 3,
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds for each.")] = 5,
    with_validation: Annotated[
        bool,
        typer.Option("--with-validation", help="Also train on the validation images; the last checkpoint is scored."),
    ] = False,
    share: Share,
    hours: Hours = None,
    cluster: Cluster,
    host: Host,
) -> None:
    """Train the best configurations again from scratch with several seeds, and score all of them.

    Mean and spread appear on the sweep's leaderboard. After an interruption, run the same command to continue.

    Example: `run_sweep.py retrain runs/mnist-1 --top 3 --seeds 5`
    """
    refuse_other_folders(folder)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api import launch as api
        from iafsweep.api.news import Place
        from iafsweep.cli.sweep_output import run_and_print

    def work(place: Place) -> api.SweepEnd:
        return api.retrain(folder, top, seeds, settings(share), place, all_images=with_validation)

    with faults_in_words(folder.absolute(), this_command):
        run_and_print(work, host.machine(cluster, hours), this_command())
