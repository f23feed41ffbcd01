"""`run_sweep.py extend`."""

from typing import Annotated

import typer

from iafsweep.cli.console import loading
from iafsweep.cli.options.ray import Cluster, Host
from iafsweep.cli.options.sweep import Budget, Concurrent, Folder, Top, refuse_other_folders, settings
from iafsweep.signals import leaving_at_once


def extend(
    folder: Folder,
    *,
    trials: Annotated[str, typer.Option(help="`+50` for fifty more, or `150` for that many in all.")],
    top: Top = None,
    max_concurrent: Concurrent = None,
    budget: Budget,
    cluster: Cluster,
    host: Host,
) -> None:
    """Train more trials in a sweep that has ended; the sampler uses all earlier results.

    Example: `run_sweep.py extend runs/quick-1 --trials +50`
    """
    refuse_other_folders(folder)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api import launch as api
        from iafsweep.cli.sweep_output import run_and_print

    changes = settings(budget, top=top, max_concurrent=max_concurrent)
    machine = host.machine(cluster, budget.hours)
    run_and_print(lambda place: api.extend(folder, trials, changes, place), machine)
