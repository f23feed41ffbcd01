"""Which recipe is best at equal CPU time? `IAFSWEEP_DATA=... python -m benchmarks.recipes train CACHE`.

`train` gives every recipe and seed the same CPU time (process time, in turns with today's recipe, so that other work
on the machine hardly matters): short epochs tell how many fit, and schedules are stretched over them. `score` measures
the test figures of the best seed of each, on the same images. `page` writes docs/recipes.md from what is there. Each
takes up where it was stopped: runs go on from their checkpoints, and what is in the cache is not made again. Two
processes share the work with `--part 1/2` and `--part 2/2`, which take every second recipe.

A recipe is the model of benchmarks/mnist_mlp.toml with changes; names joined by `+` are those changes together.
"""

from __future__ import annotations

import json
import math
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import pandas as pd
import torch
import typer

from benchmarks.paired import QUICK
from benchmarks.part import WHOLE, PartOption
from benchmarks.timing import machine
from iafsweep.api.scoring.score import score as score_run
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, load_config
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.data_root import default_data_root
from iafsweep.records import shown_figures
from iafsweep.results.comparison import compare_images
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import DivergedError, Trainer

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "recipes.md"
BASELINE, BEST = "today", "best_small"
TURNS = 5
TINY_BEST = (*QUICK, "model.encoder.resnet.maps=2", "model.decoder.resnet.maps=2", "training.epochs=2")
"""What makes search_spaces/best_small.toml a miniature."""
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
    "no flow, weight norm, vamp prior": (
        "model.flow.depth=0",
        "model.normalisation=weight_norm",
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
SCORED = (
    "evaluation.bound_images=10000",
    "evaluation.importance_sampling.images=1000",
    "evaluation.hais.enabled=true",
    "evaluation.hais.images=1000",
)
SCORED_HOUR = (
    "evaluation.importance_sampling.images=10000",
    "evaluation.hais.enabled=true",
    "evaluation.hais.start=posterior",
    "evaluation.hais.temperatures=160",
    "evaluation.hais.images=1000",
)
SCORED_QUICK = (
    "evaluation.bound_images=20",
    "evaluation.importance_sampling.images=20",
    "evaluation.importance_sampling.samples=20",
    "evaluation.hais.enabled=true",
    "evaluation.hais.images=20",
    "evaluation.hais.temperatures=3",
)

app = typer.Typer(add_completion=False, help=__doc__)
Cache = Annotated[Path, typer.Argument(help="Folder for the runs; made if missing.")]
Network = Annotated[str, typer.Option(help=f"One of {', '.join(NETWORKS)}.")]
Names = Annotated[str, typer.Option(help="Recipes, with semicolons; joined by + where together. Empty: all.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds a recipe.")]
Quick = Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")]


@dataclass(frozen=True)
class Trained:
    """What a run came to.

    Attributes:
        bound: validation bound of the best epoch, nats per image; infinite if the run diverged.
        epochs: trained.
        seconds: CPU seconds that took.
    """

    bound: float
    epochs: int
    seconds: float

    def __str__(self) -> str:
        reached = f"{self.bound:.2f} nats" if math.isfinite(self.bound) else "diverged"
        return f"{reached}, {self.epochs} epochs, {self.seconds:,.0f} s"


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
        if (seed := bench.best(recipe)) is None:
            continue
        folder = bench.folder(recipe, seed)
        scored_once(folder, SCORED_QUICK if quick else SCORED)
        figure, untrusted = _hais(folder)
        typer.echo(f"{folder.path.name}: {figure}, {untrusted} untrusted")


@app.command()
def hour(
    cache: Cache, quick: Quick = False, only: Annotated[str, typer.Option(help="This one of the two alone.")] = ""
) -> None:
    """Train search_spaces/best_small.toml as it is, and today's recipe for the same CPU time; score both."""
    torch.set_num_threads(1)
    cache.mkdir(parents=True, exist_ok=True)
    for name, config in of_the_hour(cache, quick=quick).items():
        if only in ("", name):
            folder = hours_folder(cache, name)
            found = known_run(folder) or run_to_its_end(config, folder)
            typer.echo(f"{name}: {found}")
            scored_once(folder, SCORED_QUICK if quick else SCORED_HOUR)


@app.command()
def page(cache: Cache, recipes: Names = "", to: Annotated[Path, typer.Option(help="The page.")] = PAGE) -> None:
    """Write the page of what has been trained and scored."""
    torch.set_num_threads(1)
    parts = [_HEAD.format(machine=machine(torch.device("cpu")))]
    for network in NETWORKS:
        bench = Bench(cache, network, quick=False)
        if rows := _rows(bench, _names(recipes)):
            parts += [f"## {network}\n", _COLUMNS, *rows, ""]
    parts += _hours_section(cache)
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
- *test NLL*: HAIS, of the best seed on test images, with its standard error; then its difference from `today`, paired
  by image. A dash: not measured.

Measured on {machine}.
"""
_COLUMNS = (
    "| recipe | seeds | epochs | CPU seconds | validation bound | difference "
    "| test NLL (images) | its difference | untrusted |\n|---|---|---|---|---|---|---|---|---|"
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


def _configuration(bench: Bench, recipe: str, seed: int, epochs: int, *extra: str) -> RunConfig:
    """A recipe with its schedules stretched over so many epochs: a decay every 4 of 22, a KL warm-up of 2 of 22."""
    stretched = [
        f"training.epochs={epochs}",
        f"training.seed={seed}",
        f"training.learning_rate_decay_epochs={max(1, round(epochs * 4 / 22))}",
        f"training.kl_warmup_epochs={round(epochs * 2 / 22)}",
        "training.compile=off",
    ]
    changes = [change.replace(LAST_TENTH, str(int(0.9 * epochs))) for change in _changes(recipe)]
    tiny = QUICK if bench.quick else ()
    return load_config(str(HERE / "mnist_mlp.toml"), [*NETWORKS[bench.network], *stretched, *tiny, *changes, *extra])


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
        _configuration(bench, name, 0, TURNS, "training.weight_average_images=500", *extra) for name, extra in tried
    )
    return in_turns(first, second, bench.cache)


def measured_once(kept: Path, measure: Callable[[], float]) -> float:
    """Return the figure in a file, which is measured and written if it is not there.

    A run that is resumed keeps its epochs so, and of two processes that measure at once both use what the first wrote.
    """
    if not kept.exists():
        figure = measure()
        if not kept.exists():
            write_text(kept, str(figure))
    return float(kept.read_text(encoding="utf-8"))


def in_turns(first: RunConfig, second: RunConfig, cache: Path) -> tuple[float, float]:
    """CPU seconds of an epoch of two configurations, in turns so that both have the same disturbances.

    On a tenth of the images, several times; the least counts, since what disturbs a turn makes it longer. The runs are
    made in ``cache`` and removed afterwards.
    """
    seconds: tuple[list[float], list[float]] = [], []
    with TemporaryDirectory(dir=cache, prefix="turns-") as folder:  # another process may be doing the same
        trainers: list[Trainer] = []
        for config in (first, second):
            images = load_training_images(config.data, default_data_root())
            count = max(len(images.training) // 10, config.training.batch_size)
            few = TrainingImages(images.training[:count], images.validation[:500])
            run = RunFolder(Path(folder) / str(len(trainers)))
            trainers.append(Trainer.start(config, few, run, torch.device("cpu")))
        for _ in range(TURNS):
            for trainer, turns in zip(trainers, seconds, strict=True):
                began = time.process_time()
                trainer.run_epoch()
                turns.append(10 * (time.process_time() - began))
        for trainer in trainers:
            trainer.close()
    return min(seconds[0]), min(seconds[1])


def _trained(bench: Bench, recipe: str, seed: int, budget: float) -> Trained:
    """Train a run, or go on with it, and keep what it came to."""
    epochs = max(2, round(budget / _pace(bench, recipe)))
    return run_to_its_end(_configuration(bench, recipe, seed, epochs), bench.folder(recipe, seed))


def known_run(folder: RunFolder) -> Trained | None:
    """What a run came to; None if it has not."""
    kept = folder.path.with_name(f"{folder.path.name}.json")
    return Trained(**json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else None


def scored_once(folder: RunFolder, settings: Sequence[str]) -> None:
    """Score a run on test images, unless it has been scored."""
    if not folder.evaluation.exists():
        score_run(load_config(str(folder.config), settings), folder, default_data_root(), device="cpu", threads=1)


def run_to_its_end(config: RunConfig, folder: RunFolder) -> Trained:
    """Train a run, or go on with it, and keep what it came to beside its folder."""
    spent, kept = (folder.path.with_name(f"{folder.path.name}.{each}") for each in ("spent", "json"))
    images = load_training_images(config.data, default_data_root())
    resumes = folder.last.exists()
    trainer = (Trainer.resume if resumes else Trainer.start)(config, images, folder, torch.device("cpu"))
    seconds = float(spent.read_text(encoding="utf-8")) if resumes and spent.exists() else 0.0
    bound = math.inf
    try:
        while not trainer.is_done:
            began = time.process_time()
            trainer.run_epoch()
            seconds += time.process_time() - began
            write_text(spent, str(seconds))
    except DivergedError:
        trainer.close()
    else:
        trainer.finish()
        assert trainer.best is not None
        bound = trainer.best.validation_negative_elbo
    found = Trained(bound, trainer.epochs_done, seconds)
    write_text(kept, json.dumps(asdict(found)))
    return found


def _hais(folder: RunFolder) -> tuple[str, str]:
    """The HAIS figure of a run's test images, and the share of those that are not to be trusted."""
    figure = shown_figures(folder.read_evaluation().estimates).get(("hais", "test"))
    if figure is None:
        return "-", "-"
    return (
        f"{figure.nll:.2f} ± {figure.standard_error:.2f} ({figure.images:,})",
        f"{figure.untrusted_share:.0%}",
    )


def _rows(bench: Bench, recipes: Sequence[str]) -> list[str]:
    """A row of the table for each recipe that was trained."""
    rows, todays, base = [], bench.runs(BASELINE), bench.best(BASELINE)
    trained = {recipe: runs for recipe in recipes if (runs := bench.runs(recipe))}
    by_bound = sorted(trained, key=lambda recipe: fmean(run.bound for run in trained[recipe].values()))
    for recipe in by_bound:
        runs = trained[recipe]
        lost = sum(not math.isfinite(run.bound) for run in runs.values())
        pairs = [run.bound - todays[seed].bound for seed, run in runs.items() if seed in todays]
        figure, untrusted, tested = "-", "-", "-"
        if (best := bench.best(recipe)) is not None and bench.folder(recipe, best).evaluation.exists():
            figure, untrusted = _hais(bench.folder(recipe, best))
            if base is not None and recipe != BASELINE:
                tested = _test_difference(bench.folder(BASELINE, base), bench.folder(recipe, best))
        cells = (
            recipe,
            len(runs),
            max(run.epochs for run in runs.values()),
            f"{fmean(run.seconds for run in runs.values()):.0f}",
            f"{lost} of {len(runs)} diverged" if lost else f"{fmean(run.bound for run in runs.values()):.2f}",
            "-" if recipe == BASELINE or lost or not pairs else _with_error(pairs),
            figure,
            tested,
            untrusted,
        )
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def of_the_hour(cache: Path, *, quick: bool) -> dict[str, RunConfig]:
    """Return the best small recipe, and today's with so many epochs that it takes the same CPU time."""
    best = load_config(BEST, ["training.compile=off", *(TINY_BEST if quick else ())])
    bench, few = Bench(cache, "mlp", quick), {"training.epochs": TURNS}
    today = _configuration(bench, BASELINE, 0, TURNS)
    ratio = measured_once(cache / "hour.pace", lambda: operator.truediv(*in_turns(best.with_values(few), today, cache)))
    epochs = max(2, round(best.training.epochs * ratio))
    return {BEST: best, BASELINE: _configuration(bench, BASELINE, 0, epochs)}


def hours_folder(cache: Path, name: str) -> RunFolder:
    """Where a run of the hour is."""
    return RunFolder(cache / f"hour-{name}")


def _hours_section(cache: Path) -> list[str]:
    """What an hour of two cores came to, if both runs were scored."""
    folders = {name: hours_folder(cache, name) for name in (BEST, BASELINE)}
    if not all(folder.per_image.exists() for folder in folders.values()):
        return []
    figures = {name: _log_likelihoods(folder) for name, folder in folders.items()}
    lines = [
        "## An hour of two cores\n",
        "`search_spaces/best_small.toml` as it is, and `today` for the same CPU time. The test NLL is that of "
        "importance sampling (1,000 samples) on all images, plus what HAIS has less than it on the images of both; "
        "errors are standard errors over images.\n",
        "| recipe | epochs | CPU seconds | validation bound | IS | HAIS minus IS, paired | test NLL |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (sampled, corrected) in figures.items():
        run = known_run(folders[name])
        assert run is not None
        lines.append(
            f"| {name} | {run.epochs} | {run.seconds:,.0f} | {run.bound:.2f} | {_sum(-sampled)} ({len(sampled):,}) "
            f"| {_sum(sampled - corrected)} ({corrected.notna().sum():,}) | {_sum(-sampled, sampled - corrected)} |"
        )
    (sampled, corrected), (others, their) = figures[BEST], figures[BASELINE]
    paired = _sum(others - sampled, (sampled - corrected) - (others - their))
    return [*lines, "", f"Paired by image and bits: `{BEST}` minus `{BASELINE}` is {paired} nats.", ""]


def _log_likelihoods(folder: RunFolder) -> tuple[pd.Series, pd.Series]:
    """Of each test image log p(x) by importance sampling, and by HAIS where that was measured (else missing)."""
    table = pd.read_parquet(folder.per_image)
    table = table[table["split"] == "test"]
    both = [
        table[table["method"] == method].set_index(["binarisation_seed", "image"])["log_likelihood"]
        for method in ("importance_sampling", "hais")
    ]
    return both[0], both[1].reindex(both[0].index)


def _sum(*parts: pd.Series) -> str:
    """The sum of the means of several figures with its standard error, the parts taken as independent."""
    known = [part.dropna() for part in parts]
    error = math.sqrt(sum(float(part.var()) / len(part) for part in known))
    return f"{sum(float(part.mean()) for part in known):.2f} ± {error:.2f}"


def _with_error(values: Sequence[float]) -> str:
    error = f" ± {stdev(values) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):+.2f}{error}"


def _test_difference(first: RunFolder, second: RunFolder) -> str:
    """What the second's HAIS has less than the first's, paired by image."""
    if not (first.per_image.exists() and second.per_image.exists()):
        return "-"
    tables = pd.read_parquet(second.per_image), pd.read_parquet(first.per_image)
    for each in compare_images(*tables, second.path.name, first.path.name).differences:
        if (each.method, each.split) == ("hais", "test"):
            return f"{each.difference:+.2f} ± {each.standard_error:.2f}"
    return "-"


if __name__ == "__main__":
    app()
