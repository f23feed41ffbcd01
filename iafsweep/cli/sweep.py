"""`run_sweep.py`: preview, launch and resume a sweep, score its best trials again, export its leaderboard, and more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iafsweep.cli import errors as exits
from iafsweep.cli import report, sweep_later
from iafsweep.cli.options.ray import (
    Address,
    Concurrent,
    Cpus,
    Dashboard,
    DataRoot,
    Folder,
    GpuHours,
    Gpus,
    GpusOrAuto,
    Hours,
    Overrides,
    RayFolder,
    Show,
    Space,
    Target,
    Top,
    Unauthenticated,
    Wait,
    gpus_or_auto,
    make_console,
    make_machine,
)
from iafsweep.cli.options.tracker import TrackerOption
from iafsweep.cli.options.until_error import BudgetEvaluations, BudgetSeconds, UntilError, until_error_changes
from iafsweep.cli.options.version import VersionOption
from iafsweep.signals import leaving_at_once

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Sweep configurations with Ray Tune, score the best again, and export the leaderboard. "
    f"Exit codes: {exits.EXIT_CODES}.",
)


@app.callback()
def base(version: VersionOption = False) -> None:
    """What holds for every command."""


@app.command()
def preview(
    space: Space,
    count: Annotated[int, typer.Option(min=1, help="How many configurations to show.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Other configurations for another seed.")] = 0,
    overrides: Overrides = None,
) -> None:
    """Check a search space and show sample configurations with their parameter counts; start nothing.

    Example: `run_sweep.py preview mnist --count 10`
    """
    from iafsweep.cli.drive import show_samples

    show_samples(space, overrides or [], count, seed, make_console())


@app.command()
def launch(
    space: Space,
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations to train.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Short for `--set training.epochs=N`.")] = None,
    top: Top = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep; default: the space's and a number.")] = None,
    warm_start: Annotated[
        Path | None, typer.Option(help="An earlier sweep's folder: the sampler is told what its trials found.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder that sweeps are put in.")] = Path("runs"),
    gpus_per_trial: GpusOrAuto = None,
    cpus_per_trial: Cpus = None,
    max_concurrent: Concurrent = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sampler and of the trials.")] = None,
    hours: Hours = None,
    gpu_hours: GpuHours = None,
    target: Target = None,
    address: Address = None,
    tracker: TrackerOption = None,
    wait: Wait = False,
    overrides: Overrides = None,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
    dashboard: Dashboard = False,
    allow_no_authentication: Unauthenticated = False,
) -> None:
    """Train the trials of a search space, score the best again, and print the leaderboard.

    - `run_sweep.py launch quick` runs a small sweep on two CPU cores
    - `run_sweep.py launch mnist --trials 64 --gpus-per-trial 0.5` puts two trials on each GPU
    - `run_sweep.py launch mnist --gpus-per-trial auto --hours 11.5` fills a night of a batch queue
    - `run_sweep.py launch mnist --address auto` runs on the Ray cluster this machine belongs to
    """
    with leaving_at_once():
        from iafsweep.cli.drive import launch_new

    sweep = {
        "trials": trials,
        "top": top,
        "seed": seed,
        "gpus_per_trial": gpus_or_auto(gpus_per_trial),
        "cpus_per_trial": cpus_per_trial,
        "max_concurrent": max_concurrent,
        "gpu_hours": gpu_hours,
        "target": target,
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
    raise typer.Exit(launch_new(space, overrides or [], epochs, sweep, name, runs, warm_start, machine, make_console()))


@app.command()
def resume(
    folder: Folder,
    top: Top = None,
    gpus_per_trial: GpusOrAuto = None,
    cpus_per_trial: Cpus = None,
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
    """Go on with a sweep that was interrupted or killed, from its ledger and its run folders.

    Finished trials are not trained again; unfinished ones go on from their last checkpoint.

    Example: `run_sweep.py resume runs/quick-1`
    """
    with leaving_at_once():
        from iafsweep.cli.drive import resume_old

    changes = {
        "top": top,
        "gpus_per_trial": gpus_or_auto(gpus_per_trial),
        "cpus_per_trial": cpus_per_trial,
        "max_concurrent": max_concurrent,
        "gpu_hours": gpu_hours,
        "target": target,
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
    raise typer.Exit(resume_old(folder, changes, machine, make_console()))


@app.command()
def rerun(
    folder: Folder,
    top: Top = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Importance samples an image.")] = None,
    hais: Annotated[
        str | None,
        typer.Option(
            help="`off`, or a start (`posterior`, `prior`, `base`), perhaps with temperatures x leapfrog steps x "
            "chains: `prior:500x10x16`."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Score the first so many test images.")] = None,
    trial: Annotated[
        list[str] | None, typer.Option(help="Score this trial, such as `t0007`, instead of the best. Repeatable.")
    ] = None,
    sandwich: Annotated[
        int | None,
        typer.Option(min=1, help="Measure lower and upper bound on so many images simulated from each model."),
    ] = None,
    until_error: UntilError = None,
    budget_seconds: BudgetSeconds = None,
    budget_evaluations: BudgetEvaluations = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field of [evaluation]. Repeatable.")
    ] = None,
    gpus_per_trial: Gpus = None,
    cpus_per_trial: Cpus = None,
    max_concurrent: Concurrent = None,
    address: Address = None,
    wait: Wait = False,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
    dashboard: Dashboard = False,
    allow_no_authentication: Unauthenticated = False,
) -> None:
    """Score the best trials of a sweep on the test images; what is scored already is not scored twice.

    New figures stand beside those that are there; of what no option is given for, those that are there are kept.

    - `run_sweep.py rerun runs/quick-1 --top 5 --samples 5000`
    - `run_sweep.py rerun runs/quick-1 --hais posterior:40x4x16 --images 200`
    - `run_sweep.py rerun runs/quick-1 --hais posterior --sandwich 100 --until-error 0.02 --budget-seconds 3600`
    """
    with leaving_at_once():
        from iafsweep.cli.drive import rerun_best

    asked = {
        "evaluation.importance_sampling.samples": samples,
        "evaluation.importance_sampling.images": images,
        "evaluation.hais.images": images,
        "evaluation.sandwich.images": sandwich,
        "evaluation.sandwich.enabled": None if sandwich is None else True,
        **until_error_changes(until_error, budget_seconds, budget_evaluations),
    }
    changes = {
        "top": top,
        "gpus_per_trial": gpus_per_trial,
        "cpus_per_trial": cpus_per_trial,
        "max_concurrent": max_concurrent,
    }
    machine = make_machine(
        data_root,
        address,
        ray_folder,
        wait=wait,
        dashboard=dashboard,
        allow_no_authentication=allow_no_authentication,
    )
    raise typer.Exit(rerun_best(folder, changes, asked, hais, overrides or [], machine, make_console(), trial or []))


@app.command()
def export(
    folder: Folder,
    csv: Annotated[Path | None, typer.Option(help="Where to write the CSV; default: in the sweep folder.")] = None,
    show: Show = None,
) -> None:
    """Write the leaderboard as CSV and Markdown, and print it.

    - `run_sweep.py export runs/quick-1 --csv leaderboard.csv`
    - `run_sweep.py export runs/quick-1 --show "posterior 40x4x16" --show "5000 samples"`
    """
    from iafsweep.cli.drive import export_leaderboard

    export_leaderboard(folder, csv, make_console(), show or [])


@app.command("export-model")
def export_model(
    folder: Folder,
    to: Annotated[Path, typer.Option(help="The model's folder, new or empty.")],
    trial: Annotated[str | None, typer.Option(help="A trial, such as `t0007`; default: the best.")] = None,
) -> None:
    """Write a trial's model to one folder: weights (safetensors), configuration, and a card with its figures.

    The folder names nothing of this machine; `iafsweep.load_run` reads it back anywhere.

    Example: `run_sweep.py export-model runs/quick-1 --to models/best`
    """
    from iafsweep.cli.export_model import export_trial

    export_trial(folder, trial, to, make_console())


@app.command()
def compare(
    folder: Folder,
    trials: Annotated[
        list[str] | None, typer.Argument(help="Trials to compare with the first of them; default: all with figures.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the differences to this file too.")] = None,
    show: Show = None,
) -> None:
    """Compare scored trials image by image: their differences are known far better than their figures.

    Example: `run_sweep.py compare runs/quick-1 t0003 t0007`
    """
    from iafsweep.cli.compare import compare_trials

    compare_trials(folder, trials or [], csv, make_console(), show or [])


report.register(app)
sweep_later.register(app)


def main() -> None:
    """Entry point."""
    exits.run(app)
