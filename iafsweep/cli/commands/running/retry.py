"""`run_sweep.py retry`."""

from typing import Annotated

import typer

from iafsweep.cli.console import loading
from iafsweep.cli.options.ray import Cluster, Host
from iafsweep.cli.options.sweep import Concurrent, Cpus, Folder, Hours, Top, refuse_other_folders, retried
from iafsweep.signals import leaving_at_once


def retry(
    folder: Folder,
    *,
    status: Annotated[
        list[str],
        typer.Option(
            help="Status of the trials to retry: `oom`, `failed` or `diverged`. Repeatable.", autocompletion=retried
        ),
    ],
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs for each of these trials; other trials keep theirs.")
    ] = None,
    cpus_per_trial: Cpus = None,
    top: Top = None,
    max_concurrent: Concurrent = None,
    hours: Hours = None,
    cluster: Cluster,
    host: Host,
) -> None:
    """Retry trials that ran out of memory, failed or diverged.

    Trials that ran out of memory or failed continue from their last checkpoint. Diverged trials restart from
    scratch with another training seed; the old run folder is kept as `trials/<trial>.old-1`.

    Example: `run_sweep.py retry runs/mnist-1 --status oom --gpus-per-trial 1`
    """
    refuse_other_folders(folder)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api import launch as api
        from iafsweep.cli.sweep_output import run_and_print

    changes = {"top": top, "max_concurrent": max_concurrent, "cpus_per_trial": cpus_per_trial}
    machine = host.machine(cluster, hours)
    run_and_print(lambda place: api.retry(folder, status, gpus_per_trial, changes, place), machine)
