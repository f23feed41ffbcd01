"""Commands of `run_sweep.py` on a sweep that has begun: extend, retry, retrain, status, stop, logs."""

from __future__ import annotations

from typing import Annotated

import typer

from iafsweep.cli.options.ray import (
    Address,
    Concurrent,
    Cpus,
    Dashboard,
    DataRoot,
    Folder,
    GpuHours,
    Gpus,
    Hours,
    RayFolder,
    Target,
    Top,
    Unauthenticated,
    Wait,
    make_console,
    make_machine,
)
from iafsweep.cli.options.tracker import TrackerOption
from iafsweep.signals import leaving_at_once


def register(app: typer.Typer) -> None:
    """Add the commands to `run_sweep.py`."""
    for command in (extend, retry, retrain, status, stop, logs):
        app.command()(command)


def extend(
    folder: Folder,
    trials: Annotated[str, typer.Option(help="`+50`: fifty more; `150`: so many in all.")],
    top: Top = None,
    max_concurrent: Concurrent = None,
    hours: Hours = None,
    gpu_hours: GpuHours = None,
    target: Target = None,
    address: Address = None,
    tracker: TrackerOption = None,
    wait: Wait = False,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
    dashboard: Dashboard = False,
    allow_no_authentication: Unauthenticated = False,
) -> None:
    """Train more trials in a sweep that has ended; the sampler knows all earlier results.

    Example: `run_sweep.py extend runs/quick-1 --trials +50`
    """
    with leaving_at_once():
        from iafsweep.cli.again import extend as extend_sweep

    changes = {"top": top, "max_concurrent": max_concurrent, "gpu_hours": gpu_hours, "target": target}
    machine = make_machine(
        data_root,
        address,
        ray_folder,
        wait=wait,
        dashboard=dashboard,
        hours=hours,
        allow_no_authentication=allow_no_authentication,
        tracker=tracker,
    )
    raise typer.Exit(extend_sweep(folder, trials, changes, machine, make_console()))


def retry(
    folder: Folder,
    status: Annotated[list[str], typer.Option(help="`oom`, `failed` or `diverged`. Repeatable.")],
    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs each of these trials gets; the others keep theirs.")
    ] = None,
    cpus_per_trial: Cpus = None,
    top: Top = None,
    max_concurrent: Concurrent = None,
    hours: Hours = None,
    address: Address = None,
    tracker: TrackerOption = None,
    wait: Wait = False,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
    dashboard: Dashboard = False,
    allow_no_authentication: Unauthenticated = False,
) -> None:
    """Run trials again that ran out of memory, failed or diverged.

    Out of memory and failed: from their last checkpoint. Diverged: afresh with another training seed; the old run
    folder is kept as `trials/<trial>.old-1`.

    Example: `run_sweep.py retry runs/mnist-1 --status oom --gpus-per-trial 1`
    """
    with leaving_at_once():
        from iafsweep.cli.again import retry as retry_trials

    changes = {"top": top, "max_concurrent": max_concurrent, "cpus_per_trial": cpus_per_trial}
    machine = make_machine(
        data_root,
        address,
        ray_folder,
        wait=wait,
        dashboard=dashboard,
        hours=hours,
        allow_no_authentication=allow_no_authentication,
        tracker=tracker,
    )
    raise typer.Exit(retry_trials(folder, status, gpus_per_trial, changes, machine, make_console()))


def retrain(
    folder: Folder,
    top: Annotated[int, typer.Option(min=1, help="How many of the best trials.")] = 3,
    seeds: Annotated[int, typer.Option(min=2, help="How often each is trained.")] = 5,
    with_validation: Annotated[
        bool,
        typer.Option("--with-validation", help="Train on the validation images too; the last checkpoint is scored."),
    ] = False,
    gpus_per_trial: Gpus = None,
    cpus_per_trial: Cpus = None,
    max_concurrent: Concurrent = None,
    hours: Hours = None,
    address: Address = None,
    tracker: TrackerOption = None,
    wait: Wait = False,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
    dashboard: Dashboard = False,
    allow_no_authentication: Unauthenticated = False,
) -> None:
    """Train the best configurations again from scratch with several seeds, and score all of them.

    Mean and spread stand on the sweep's leaderboard. Interrupted, the same command goes on.

    Example: `run_sweep.py retrain runs/mnist-1 --top 3 --seeds 5`
    """
    with leaving_at_once():
        from iafsweep.cli.again import retrain as retrain_best

    changes = {
        "max_concurrent": max_concurrent,
        "gpus_per_trial": gpus_per_trial,
        "cpus_per_trial": cpus_per_trial,
    }
    machine = make_machine(
        data_root,
        address,
        ray_folder,
        wait=wait,
        dashboard=dashboard,
        hours=hours,
        allow_no_authentication=allow_no_authentication,
        tracker=tracker,
    )
    raise typer.Exit(retrain_best(folder, top, seeds, with_validation, changes, machine, make_console()))


def status(folder: Folder) -> None:
    """Tell whether a sweep runs, how its trials ended, the best one, what is not scored, and the time left.

    Example: `run_sweep.py status runs/quick-1`
    """
    from iafsweep.cli.manage import show_status

    show_status(folder, make_console())


def stop(
    folder: Folder,
    trial: Annotated[str | None, typer.Option(help="Stop this trial alone, as the scheduler would.")] = None,
) -> None:
    """Ask a running sweep to end in good order, from any machine that sees its folder.

    Running trials finish their epoch and save; `resume` goes on with them. A trial stopped alone is a row of the
    leaderboard with status `stopped`, and the sweep goes on with others.

    Example: `run_sweep.py stop runs/quick-1 --trial t0007`
    """
    from iafsweep.cli.manage import stop_sweep

    stop_sweep(folder, trial, make_console())


def logs(
    folder: Folder,
    trial: Annotated[str | None, typer.Argument(help="A trial, such as `t0007`; without one the sweep's log.")] = None,
    lines: Annotated[int, typer.Option(min=1, help="Show the last so many lines.")] = 40,
) -> None:
    """Show the log of a trial and the error it ended with, or the log of the sweep.

    Example: `run_sweep.py logs runs/quick-1 t0007`
    """
    from iafsweep.cli.manage import show_logs

    show_logs(folder, trial, lines, make_console())
