"""Which recipe is best at equal CPU time? `IAFSWEEP_DATA=... python -m benchmarks.recipes train CACHE`.

`train` gives every recipe and seed the same CPU time (process time, in turns with today's recipe, so that other work
on the machine hardly matters): short epochs tell how many fit, and schedules are stretched over them. `score` measures
the test figures of the best seed of each, on the same images. `page` writes docs/recipes.md from what is there. Each
takes up where it was stopped: runs go on from their checkpoints, and what is in the cache is not made again. Two
processes share the work with `--part 1/2` and `--part 2/2`, which take every second recipe.

A recipe is the model of benchmarks/mnist_mlp.toml with changes; names joined by `+` are those changes together.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, NamedTuple

import torch
import typer

from benchmarks.equal_time import TURNS, Trained, in_turns, known_run, measured_once, run_to_its_end
from benchmarks.nll import Figures, scored_once, untrusted
from benchmarks.paired import QUICK
from benchmarks.part import WHOLE, PartOption
from benchmarks.timing import machine
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, load_config
from iafsweep.run_files.run_folder import RunFolder

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "recipes.md"
BASELINE = "today"
LAST_TENTH = "LAST_TENTH"
"""Stands for the epoch after nine tenths of them."""

RECIPES: dict[str, tuple[str, ...]] = {
    BASELINE: (),
    "constant": ("training.learning_rate_schedule=constant",),
    "cosine": ("training.learning_rate_schedule=cosine",),
    "rate warm-up": ("training.learning_rate_warmup_epochs=1",),
    "batch 100": ("training.batch_size=100",),
    "adamw": ("training.optimiser=adamw", "training.weight_decay=0.01"),
    "adamax": ("training.optimiser=adamax",),
    "clip": ("training.gradient_clip=100.0",),
    "average": ("training.weight_average=0.999",),
    "dropout": ("model.encoder.dropout=0.1", "model.decoder.dropout=0.1"),
    "free bits": ("training.free_bits=10.0", "training.kl_warmup_epochs=0"),
    "iwae": ("training.objective=iwae", "training.objective_samples=5"),
    "iwae at the end": (
        "training.objective=iwae",
        "training.objective_samples=5",
        f"training.objective_from_epoch={LAST_TENTH}",
    ),
    "weight norm": ("model.normalisation=weight_norm",),
    "no norm": ("model.normalisation=none",),
    "autoregressive prior": ("model.prior.kind=autoregressive",),
    "small autoregressive prior": (
        "model.prior.kind=autoregressive",
        "model.prior.autoregressive.depth=2",
        "model.prior.autoregressive.width=160",
    ),
    "spline coupling prior": ("model.prior.kind=spline_coupling",),
    # At equal parameters where the flow allows it, as in search_spaces/flows.toml.
    "planar": ("model.flow.kind=planar", "model.flow.context_size=160"),
    "sylvester": ("model.flow.kind=sylvester", "model.flow.context_size=179"),
    "naf": ("model.flow.kind=naf", "model.flow.made.width=152"),
    "spline": ("model.flow.kind=spline", "model.flow.made.width=156"),
    "no flow": ("model.flow.depth=0",),
    "no warm-up": ("training.kl_warmup_epochs=0",),
    # The VampPrior needs all three.
    "no flow, weight norm, no warm-up": (
        "model.flow.depth=0",
        "model.normalisation=weight_norm",
        "training.kl_warmup_epochs=0",
    ),
    "no flow, weight norm, no warm-up, vamp prior": (
        "model.flow.depth=0",
        "model.normalisation=weight_norm",
        "training.kl_warmup_epochs=0",
        "model.prior.kind=vamp",
        "model.prior.vamp.components=100",
    ),
    "no flow, stl": ("model.flow.depth=0", "training.objective=stl"),
    "no flow, dreg at the end": (
        "model.flow.depth=0",
        "training.objective=dreg",
        "training.objective_samples=5",
        f"training.objective_from_epoch={LAST_TENTH}",
    ),
}
TOGETHER = (
    "cosine+small autoregressive prior",
    "cosine+autoregressive prior",
    "no flow+cosine+small autoregressive prior",
    "cosine+small autoregressive prior+batch 100",
)
"""Recipes that are measured together as well: what helped alone."""
NETWORKS: dict[str, tuple[str, ...]] = {
    "mlp": (),
    "conv": (
        "model.encoder.kind=resnet",
        "model.encoder.resnet.maps=16",
        "model.encoder.resnet.hidden_size=256",
        "model.decoder.kind=resnet",
        "model.decoder.resnet.maps=16",
    ),
}

app = typer.Typer(add_completion=False, help=__doc__)
Cache = Annotated[Path, typer.Argument(help="Folder for the runs; made if missing.")]
Network = Annotated[str, typer.Option(help=f"One of {', '.join(NETWORKS)}.")]
Names = Annotated[str, typer.Option(help="Recipes, with semicolons; joined by + where together. Empty: all.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds a recipe.")]
Quick = Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")]


class Bench(NamedTuple):
    """Where runs are kept, and what they share."""

    cache: Path
    network: str
    quick: bool

    def name(self, recipe: str, seed: int) -> str:
        """Name a run."""
        return f"{self.network}-{recipe.replace(' ', '_').replace(',', '')}-{seed}"

    def folder(self, recipe: str, seed: int) -> RunFolder:
        """Where a run is."""
        return RunFolder(self.cache / self.name(recipe, seed))

    def known(self, recipe: str, seed: int) -> Trained | None:
        """What a run came to; None if it has not."""
        return known_run(self.folder(recipe, seed))

    def best(self, recipe: str) -> int | None:
        """The seed with the lowest bound; None if none has ended, or all have diverged."""
        found = [(run.bound, seed) for seed, run in self.runs(recipe).items() if math.isfinite(run.bound)]
        return min(found)[1] if found else None

    def scored(self, recipe: str) -> RunFolder | None:
        """The run with the lowest bound, if it has been scored."""
        best = self.best(recipe)
        folder = None if best is None else self.folder(recipe, best)
        return folder if folder is not None and folder.evaluation.exists() else None

    def runs(self, recipe: str) -> dict[int, Trained]:
        """Every run that has ended, by its seed."""
        return {seed: run for seed in range(100) if (run := self.known(recipe, seed)) is not None}


@app.command()
def train(
    cache: Cache,
    network: Network = "mlp",
    recipes: Names = "",
    seeds: Seeds = 3,
    seconds: Annotated[float, typer.Option(help="CPU seconds a run.")] = 240.0,
    part: PartOption = WHOLE,
    hopeless: Annotated[
        float, typer.Option(help="Nats above today's recipe beyond which the first seed is the last.")
    ] = 1.5,
    quick: Quick = False,
) -> None:
    """Train every recipe with every seed; with one alone where that is far above today's recipe with this seed."""
    torch.set_num_threads(1)
    bench = Bench(cache, network, quick)
    cache.mkdir(parents=True, exist_ok=True)
    names = list(part.of(_names(recipes)))
    for recipe in names:  # all at first, in one quiet go: from then on other work changes nothing
        typer.echo(f"{recipe}: {_pace(bench, recipe):.1f} s an epoch")
    for seed in range(seeds):  # every recipe once before any of them again
        for recipe in names:
            alone, today = bench.known(recipe, 0), bench.known(BASELINE, 0)
            if seed and alone and today and alone.bound > today.bound + hopeless:
                continue
            found = bench.known(recipe, seed) or _trained(bench, recipe, seed, seconds)
            typer.echo(f"{bench.name(recipe, seed)}: {found}")


@app.command()
def score(cache: Cache, network: Network = "mlp", recipes: Names = "", quick: Quick = False) -> None:
    """Measure the test figures of the best seed of each recipe."""
    bench = Bench(cache, network, quick)
    for recipe in _names(recipes):
        if (seed := bench.best(recipe)) is not None:
            folder = bench.folder(recipe, seed)
            scored_once(folder, quick=quick)
            typer.echo(f"{folder.path.name}: {Figures.of(folder)}, untrusted by IS / HAIS: {untrusted(folder)}")


@app.command()
def page(cache: Cache, recipes: Names = "", to: Annotated[Path, typer.Option(help="The page.")] = PAGE) -> None:
    """Write the page of what has been trained and scored."""
    torch.set_num_threads(1)
    parts = [_HEAD.format(machine=machine(torch.device("cpu")))]
    for network in NETWORKS:
        bench = Bench(cache, network, quick=False)
        if rows := _rows(bench, _names(recipes)):
            parts += [f"## {network}\n", _COLUMNS, *rows, ""]
    write_text(to, "\n".join(parts))


_HEAD = """# Recipes, measured

<!-- Written by `python -m benchmarks.recipes page`; do not edit. -->

Which training recipe, prior or posterior flow gives the best model in a few minutes of one CPU core? Every row changes
the model of benchmarks/mnist_mlp.toml (`today`; full MNIST) as benchmarks/recipes.py says under its name, and was
trained for the same CPU time: an epoch is timed in turns with one of `today`, which tells how many fit, and schedules
are stretched over them. (CPU seconds differ because neighbours slow the processor down.) Nothing else is tuned to a
change: another learning rate may suit `adamax` or `weight norm` better. Recipes joined by `+` are used together. All
figures are in nats per image; lower is better.

- *difference*: of the validation bound from that of `today` with the same seed; mean and standard error over seeds,
  without an error where there is one seed. Recipes far above `today` with the first seed are not trained with others.
- *test NLL*: of the seed with the lowest bound, on all 10,000 test images, with its standard error; then its difference
  from that of `today`, paired by image. It is the bound on all images, plus how much lower IS-1000 is on 500 of them,
  plus how much lower HAIS (`160x3x8`, from the posterior) is than IS on 100. A dash: not measured.
- *untrusted*: the shares of those images that IS and HAIS do not trust.

Measured on {machine}.
"""
_COLUMNS = (
    "| recipe | seeds | epochs | CPU seconds | validation bound | difference "
    "| test NLL | its difference | untrusted by IS / HAIS |\n|---|---|---|---|---|---|---|---|---|"
)


def _names(recipes: str) -> list[str]:
    names = [name.strip() for name in recipes.split(";")] if recipes else [*RECIPES, *TOGETHER]
    for name in names:
        _changes(name)
    return names


def _changes(recipe: str) -> list[str]:
    """The overrides of a recipe, or of several joined by `+`."""
    if unknown := [name for name in recipe.split("+") if name not in RECIPES]:
        raise typer.BadParameter(f"no recipe is called {unknown[0]!r}; known: {'; '.join(RECIPES)}")
    return [change for name in recipe.split("+") for change in RECIPES[name]]


def configuration(network: str, recipe: str, seed: int, epochs: int, *extra: str, quick: bool = False) -> RunConfig:
    """A recipe with its schedules stretched over so many epochs: a decay every 4 of 22, a KL warm-up of 2 of 22."""
    stretched = [
        f"training.epochs={epochs}",
        f"training.seed={seed}",
        f"training.learning_rate_decay_epochs={max(1, round(epochs * 4 / 22))}",
        f"training.kl_warmup_epochs={round(epochs * 2 / 22)}",
        "training.compile=off",
    ]
    changes = [change.replace(LAST_TENTH, str(int(0.9 * epochs))) for change in _changes(recipe)]
    tiny = QUICK if quick else ()
    return load_config(str(HERE / "mnist_mlp.toml"), [*NETWORKS[network], *stretched, *tiny, *changes, *extra])


def _pace(bench: Bench, recipe: str) -> float:
    """CPU seconds of an epoch on average over a run: those of today's recipe, times what it costs beside that."""
    if all(change.startswith("training.learning_rate") for change in _changes(recipe)) and recipe != BASELINE:
        return _pace(bench, BASELINE)  # the arithmetic is the same

    def measure() -> float:
        whole, today = _turns(bench, recipe, "training.objective_from_epoch=0")
        if recipe == BASELINE:
            return today
        if any(LAST_TENTH in change for change in _changes(recipe)):
            plain = ("training.objective=elbo", "training.objective_samples=1", "training.objective_from_epoch=0")
            whole = 0.1 * whole + 0.9 * today * operator.truediv(*_turns(bench, recipe, *plain))
        return _pace(bench, BASELINE) * whole / today

    return measured_once(bench.cache / f"{bench.name(recipe, 0)}.pace", measure)


def _turns(bench: Bench, recipe: str, *changes: str) -> tuple[float, float]:
    """CPU seconds of an epoch of a recipe and of today's."""
    tried: tuple[tuple[str, tuple[str, ...]], ...] = ((recipe, changes), (BASELINE, ()))
    first, second = (
        configuration(bench.network, name, 0, TURNS, "training.weight_average_images=500", *extra, quick=bench.quick)
        for name, extra in tried
    )
    return in_turns(first, second)


def _trained(bench: Bench, recipe: str, seed: int, budget: float) -> Trained:
    """Train a run, or go on with it, and keep what it came to."""
    epochs = max(2, round(budget / _pace(bench, recipe)))
    config = configuration(bench.network, recipe, seed, epochs, quick=bench.quick)
    return run_to_its_end(config, bench.folder(recipe, seed))


def _rows(bench: Bench, recipes: Sequence[str]) -> list[str]:
    """A row of the table for each recipe that was trained."""
    rows, todays = [], bench.runs(BASELINE)
    trained = {recipe: runs for recipe in recipes if (runs := bench.runs(recipe))}
    by_bound = sorted(trained, key=lambda recipe: fmean(run.bound for run in trained[recipe].values()))
    for recipe in by_bound:
        runs = trained[recipe]
        lost = sum(not math.isfinite(run.bound) for run in runs.values())
        pairs = [run.bound - todays[seed].bound for seed, run in runs.items() if seed in todays]
        cells = (
            recipe,
            len(runs),
            max(run.epochs for run in runs.values()),
            f"{fmean(run.seconds for run in runs.values()):.0f}",
            f"{lost} of {len(runs)} diverged" if lost else f"{fmean(run.bound for run in runs.values()):.2f}",
            "-" if recipe == BASELINE or lost or not pairs else _with_error(pairs),
            *_test_cells(bench, recipe),
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def _test_cells(bench: Bench, recipe: str) -> tuple[str, str, str]:
    """The test NLL of the best seed, its difference from today's, and the shares of untrusted images."""
    folder, today = bench.scored(recipe), bench.scored(BASELINE)
    if folder is None:
        return "-", "-", "-"
    figures = Figures.of(folder)
    difference = "-" if recipe == BASELINE or today is None else str(figures - Figures.of(today))
    return str(figures), difference, untrusted(folder)


def _with_error(values: Sequence[float]) -> str:
    error = f" ± {stdev(values) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):+.2f}{error}"


if __name__ == "__main__":
    app()
