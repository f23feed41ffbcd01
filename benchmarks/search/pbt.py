"""Is a population worth its epochs? `IAFSWEEP_DATA=... python -m benchmarks.search.pbt run CACHE`, then `page CACHE`.

This runs real sweeps of spaces/recipe.toml on part of MNIST. Recorded curves cannot replace them, because members of a
population continue from copies of others. For comparison, the same space is searched in two other ways: at random
without a scheduler, with as many trials and so as many epochs, and by the default sampler and scheduler, with enough
trials to train at least as many epochs. Of the latter, only trials that completed before the population's epochs were
spent count. `run` runs the sweeps that are not in CACHE yet; `page` prints the table.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated

import typer

from benchmarks.search.compare import BASELINE, DEFAULT
from benchmarks.search.record import Extent, first_images, the_space
from iafsweep.atomic import write_text
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep

POPULATION = "random, pbt"
SEARCHES = {POPULATION: 1, BASELINE: 1, DEFAULT: 5}
"""Sampler and scheduler, and the number of trials as a multiple of the population's members."""
EXTENT = Extent(12, 8000, 2000)
QUICK = Extent(4, 400, 100)

app = typer.Typer(add_completion=False, help=__doc__)
Cache = Annotated[Path, typer.Argument(help="Folder for intermediate results, outside the repository.")]
Quick = Annotated[bool, typer.Option("--quick", help="Run a miniature, to check that the script works.")]


@app.command()
def run(
    cache: Cache,
    seeds: Annotated[int, typer.Option(min=1, help="Sweeps per search, each with its own seed.")] = 3,
    quick: Quick = False,
) -> None:
    """Run the sweeps that are not in the cache yet; an interrupted one is continued."""
    space, extent = the_space("recipe", quick), QUICK if quick else EXTENT
    few, members = first_images(space, extent), extent.configurations
    for seed in range(1, seeds + 1):
        for name in SEARCHES:
            kept = cache / f"{name.replace(', ', '-')}-{seed}.json"
            if kept.exists():
                continue
            searched, folder = _searched(space, name, members, seed), SweepFolder(kept.with_suffix(""))
            outcome = launch_sweep(searched, folder, few, LaunchOptions(), SweepCallback())
            if outcome.status not in ("completed", "exhausted"):
                typer.echo(
                    f"{name} {seed}: {outcome.status} {outcome.reason}{outcome.error}; a second call goes on", err=True
                )
                raise typer.Exit(outcome.exit_code or 1)
            best, epochs = found(outcome.state, members * space.most_epochs)
            write_text(kept, json.dumps({"bound": best, "epochs": epochs}))
            shutil.rmtree(folder.path)
            typer.echo(f"{name} {seed}: {best:.2f} nats, {epochs} epochs")


@app.command()
def page(cache: Cache) -> None:
    """Print the table: mean and standard error over seeds, nats per image."""
    typer.echo("| search | seeds | epochs | best validation bound |\n|---|---|---|---|")
    for name in SEARCHES:
        rows = [json.loads(kept.read_text()) for kept in sorted(cache.glob(f"{name.replace(', ', '-')}-*.json"))]
        if rows:
            bounds = [row["bound"] for row in rows]
            error = f" ± {stdev(bounds) / len(bounds) ** 0.5:.2f}" if len(bounds) > 1 else ""
            epochs = fmean(row["epochs"] for row in rows)
            typer.echo(f"| {name} | {len(rows)} | {epochs:.0f} | {fmean(bounds):.2f}{error} |")


def found(state: LedgerState, budget: int) -> tuple[float, int]:
    """Return the best bound of the trials that completed before so many epochs were trained, and the epochs till then.

    Epochs count when their trial ends, in the order of the ledger.
    """
    best, epochs, ended = float("inf"), 0, dict[str, int]()
    for row in state.events:
        if isinstance(row, Finished):
            after = epochs + row.epochs - ended.get(row.trial, 0)
            if after > budget:
                break
            epochs, ended[row.trial] = after, row.epochs
            if row.status == "completed" and row.best_value is not None:
                best = min(best, row.best_value)
    return best, epochs


def _searched(space: SearchSpace, name: str, members: int, seed: int) -> SearchSpace:
    (sampler, scheduler), times = name.split(", "), SEARCHES[name]
    changes = {"sampler": sampler, "scheduler": scheduler, "seed": seed, "trials": times * members}
    return replace(space, sweep=space.sweep.model_copy(update=changes))


if __name__ == "__main__":
    app()
