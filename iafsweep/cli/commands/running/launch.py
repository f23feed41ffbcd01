"""`run_sweep.py launch`."""

from pathlib import Path
from typing import Annotated

import typer

from iafsweep.cli.console import loading
from iafsweep.cli.options.ray import Cluster, Host
from iafsweep.cli.options.sweep import Budget, Overrides, ShareOrAuto, Space, Top, settings
from iafsweep.config.files import find_config
from iafsweep.search_space.files import load_space
from iafsweep.signals import leaving_at_once


def launch(
    space: Space,
    *,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of configurations to train.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="The same as `--set training.epochs=N`.")] = None,
    top: Top = None,
    name: Annotated[str | None, typer.Option(help="Name of the sweep; default: the space's name and a number.")] = None,
    warm_start: Annotated[
        Path | None, typer.Option(help="Folder of an earlier sweep, whose results the sampler starts from.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder in which sweeps are created.")] = Path("runs"),
    share: ShareOrAuto,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sampler and of the trials.")] = None,
    budget: Budget,
    cluster: Cluster,
    overrides: Overrides = None,
    host: Host,
) -> None:
    """Train the trials of a search space, score the best on test images, and print the leaderboard.

    - `run_sweep.py launch quick` runs a small sweep on two CPU cores
    - `run_sweep.py launch mnist --trials 64 --gpus-per-trial 0.5` puts two trials on each GPU
    - `run_sweep.py launch mnist --gpus-per-trial auto --hours 11.5` fills a night on a batch queue
    - `run_sweep.py launch mnist --address auto` runs on the Ray cluster this machine belongs to
    """
    changes = settings(share, budget, trials=trials, top=top, seed=seed)
    plain = {key: value for key, value in changes.items() if value != "auto"}
    loaded = load_space(space, overrides or [], epochs=epochs, sweep=plain)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api import launch as api
        from iafsweep.api.news import Place
        from iafsweep.cli.sweep_output import run_and_print

    def work(place: Place) -> api.SweepEnd:
        return api.launch(loaded, runs, find_config(space).stem, place, name, warm_start, changes)

    run_and_print(work, host.machine(cluster, budget.hours))
