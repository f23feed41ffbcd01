"""`run_sweep.py`: preview, launch and resume a sweep, score its best trials again, export its leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from iafsweep.cli import exits
from iafsweep.cli.until_error_option import BudgetEvaluations, BudgetSeconds, UntilError, until_error_changes
from iafsweep.data_root import default_data_root

if TYPE_CHECKING:
    from iafsweep.cli.drive import Machine

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    no_args_is_help=True,
    help="Sweep configurations with Ray Tune, score the best again, and export the leaderboard. "
    "Exit codes: 0 done, 1 trials keep failing, 2 a mistake in what was asked, 130 Ctrl-C, 143 SIGTERM.",
)

Space = Annotated[str, typer.Argument(help="A TOML file with [search], or the name of one shipped: `quick`, `mnist`.")]
Folder = Annotated[Path, typer.Argument(help="A sweep folder, such as `runs/quick-1`.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a fixed field: `--set training.epochs=50`. Repeatable.")
]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of data sets; default $IAFSWEEP_DATA or a cache folder.")]
Address = Annotated[str | None, typer.Option(help="Join a running Ray cluster: `auto` or `HOST:6379`.")]
Gpus = Annotated[float | None, typer.Option(min=0, help="GPUs a trial, fractions allowed; default 1 if there are any.")]
Cpus = Annotated[int | None, typer.Option(min=1, help="CPU cores a trial.")]
Concurrent = Annotated[int | None, typer.Option(min=1, help="Trials at a time at most.")]
Top = Annotated[int | None, typer.Option(min=0, help="Best trials to score again; 0: none.")]
RayFolder = Annotated[Path | None, typer.Option(help="Folder for Ray's sockets and logs (a short path).")]


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

    show_samples(space, overrides or [], count, seed, _console())


@app.command()
def launch(
    space: Space,
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations to train.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Short for `--set training.epochs=N`.")] = None,
    top: Top = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep; default: the space's and a number.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that sweeps are put in.")] = Path("runs"),
    gpus_per_trial: Gpus = None,
    cpus_per_trial: Cpus = None,
    max_concurrent: Concurrent = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sampler and of the trials.")] = None,
    address: Address = None,
    overrides: Overrides = None,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
) -> None:
    """Train the trials of a search space, score the best again, and print the leaderboard.

    - `run_sweep.py launch quick` runs a small sweep on two CPU cores
    - `run_sweep.py launch mnist --trials 64 --gpus-per-trial 0.5` puts two trials on each GPU
    - `run_sweep.py launch mnist --address auto` runs on the Ray cluster this machine belongs to
    """
    from iafsweep.cli.drive import launch_new

    sweep = {
        "trials": trials,
        "top": top,
        "seed": seed,
        "gpus_per_trial": gpus_per_trial,
        "cpus_per_trial": cpus_per_trial,
        "max_concurrent": max_concurrent,
    }
    machine = _machine(address, ray_folder, data_root)
    raise typer.Exit(launch_new(space, overrides or [], epochs, sweep, name, runs, machine, _console()))


@app.command()
def resume(
    folder: Folder,
    top: Top = None,
    gpus_per_trial: Gpus = None,
    cpus_per_trial: Cpus = None,
    max_concurrent: Concurrent = None,
    address: Address = None,
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
) -> None:
    """Go on with a sweep that was interrupted or killed, from its ledger and its run folders.

    Finished trials are not trained again; unfinished ones go on from their last checkpoint.

    Example: `run_sweep.py resume runs/quick-1`
    """
    from iafsweep.cli.drive import resume_old

    changes = {
        "top": top,
        "gpus_per_trial": gpus_per_trial,
        "cpus_per_trial": cpus_per_trial,
        "max_concurrent": max_concurrent,
    }
    raise typer.Exit(resume_old(folder, changes, _machine(address, ray_folder, data_root), _console()))


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
    data_root: DataRoot = None,
    ray_folder: RayFolder = None,
) -> None:
    """Score the best trials of a sweep on the test images; what is scored already is not scored twice.

    - `run_sweep.py rerun runs/quick-1 --top 5 --samples 5000`
    - `run_sweep.py rerun runs/quick-1 --hais posterior:40x4x16 --images 200`
    - `run_sweep.py rerun runs/quick-1 --hais posterior --sandwich 100 --until-error 0.02 --budget-seconds 3600`
    """
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
    machine = _machine(address, ray_folder, data_root)
    raise typer.Exit(rerun_best(folder, changes, asked, hais, overrides or [], machine, _console()))


@app.command()
def export(
    folder: Folder,
    csv: Annotated[Path | None, typer.Option(help="Where to write the CSV; default: in the sweep folder.")] = None,
) -> None:
    """Write the leaderboard as CSV and Markdown, and print it.

    Example: `run_sweep.py export runs/quick-1 --csv leaderboard.csv`
    """
    from iafsweep.cli.drive import export_leaderboard

    export_leaderboard(folder, csv, _console())


@app.command()
def compare(
    folder: Folder,
    trials: Annotated[
        list[str] | None, typer.Argument(help="Trials to compare with the first of them; default: all with figures.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the differences to this file too.")] = None,
) -> None:
    """Compare scored trials image by image: their differences are known far better than their figures.

    Example: `run_sweep.py compare runs/quick-1 t0003 t0007`
    """
    from iafsweep.cli.compare import compare_trials

    compare_trials(folder, trials or [], csv, _console())


def main() -> None:
    """Entry point."""
    exits.run(app)


def _machine(address: str | None, ray_folder: Path | None, data_root: Path | None) -> Machine:
    from iafsweep.cli.drive import Machine

    return Machine(address, ray_folder, (data_root or default_data_root()).expanduser().absolute(), data_root)


def _console() -> Console:
    return Console(highlight=False)
