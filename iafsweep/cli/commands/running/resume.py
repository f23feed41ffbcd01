"""`run_sweep.py resume`."""

from iafsweep.cli.console import loading
from iafsweep.cli.options.ray import Cluster, Host
from iafsweep.cli.options.sweep import Budget, Folder, ShareOrAuto, Top, refuse_other_folders, settings
from iafsweep.signals import leaving_at_once


def resume(
    folder: Folder, *, top: Top = None, share: ShareOrAuto, budget: Budget, cluster: Cluster, host: Host
) -> None:
    """Continue a sweep that was interrupted or killed, from its ledger and its run folders.

    Finished trials are not trained again; unfinished ones continue from their last checkpoint.

    Example: `run_sweep.py resume runs/quick-1`
    """
    refuse_other_folders(folder)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api import launch as api
        from iafsweep.cli.sweep_output import run_and_print

    changes = settings(share, budget, top=top)
    machine = host.machine(cluster, budget.hours)
    run_and_print(lambda place: api.resume(folder, changes, place), machine)
