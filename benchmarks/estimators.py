"""Measure every figure of docs/estimators.md: `python -m benchmarks.estimators CACHE` (an hour or more on one core).

CACHE is a folder for expensive results: the trained model, step sizes and log-weights. A second call continues where
the first was stopped, and takes seconds if everything is there. `--quick` does the same in miniature, in CACHE/quick,
to test the script; its figures mean nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.estimator_figures import Results, collect
from benchmarks.estimator_page import draw, fill_page
from benchmarks.estimator_runs import Annealing, Bench, Sampling, Sandwiched, evaluation_seconds, processor, run_all
from iafsweep.atomic import write_text
from iafsweep.cli.single import train_and_score
from iafsweep.config import HaisConfig, RunConfig, load_config
from iafsweep.data import load_test_images
from iafsweep.data_root import default_data_root
from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder, load_trained_model

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = "estimators.json"


@dataclass(frozen=True)
class Plan:
    """All settings of the measurements.

    Attributes:
        overrides: overrides of `benchmarks/mnist_mlp.toml`.
        first_image: index of the first test image scored; earlier images tune step sizes.
        pilots: settings of the pilot runs, one for each start and number of leapfrog steps.
        reference: the long run that all gaps refer to.
        sampling: importance sampling.
        annealing: the runs to compare.
        sandwiches: forward and reverse runs on simulated images.
        timing_rounds: how many times the time of an evaluation is measured.
    """

    overrides: tuple[str, ...]
    first_image: int
    pilots: tuple[HaisConfig, ...]
    reference: Annealing
    sampling: Sampling
    annealing: tuple[Annealing, ...]
    sandwiches: tuple[Sandwiched, ...]
    timing_rounds: int


FULL = Plan(
    overrides=(),
    first_image=1000,
    pilots=(
        HaisConfig(start="posterior", chains=16, temperatures=20, leapfrog_steps=4, target_acceptance=0.9),
        HaisConfig(start="posterior", chains=16, temperatures=20, leapfrog_steps=3, target_acceptance=0.8),
        HaisConfig(start="prior", chains=4, pilot_images=10, pilot_passes=2),
        HaisConfig(start="base", chains=4, pilot_images=10, pilot_passes=2),
    ),
    reference=Annealing(start="posterior", temperatures=200, leapfrog_steps=4, chains=8, runs=8, images=100),
    sampling=Sampling(samples=5000, runs=10, images=100),
    annealing=(
        Annealing(start="posterior", temperatures=5, leapfrog_steps=4, chains=16, runs=8, images=100),
        Annealing(start="posterior", temperatures=10, leapfrog_steps=4, chains=16, runs=8, images=100),
        Annealing(start="posterior", temperatures=20, leapfrog_steps=4, chains=16, runs=54, images=100),
        Annealing(start="posterior", temperatures=40, leapfrog_steps=4, chains=16, runs=20, images=100),
        Annealing(start="posterior", temperatures=80, leapfrog_steps=3, chains=20, runs=14, images=100),
        Annealing(start="prior", temperatures=499, leapfrog_steps=10, chains=16, runs=1, images=25),
        Annealing(start="prior", temperatures=2000, leapfrog_steps=10, chains=8, runs=1, images=25),
        Annealing(start="base", temperatures=499, leapfrog_steps=10, chains=16, runs=1, images=25),
    ),
    sandwiches=(
        Sandwiched(start="posterior", temperatures=1, leapfrog_steps=1, chains=1000, images=100),
        Sandwiched(start="posterior", temperatures=20, leapfrog_steps=4, chains=16, images=100),
        Sandwiched(start="posterior", temperatures=40, leapfrog_steps=4, chains=16, images=100),
        Sandwiched(start="posterior", temperatures=80, leapfrog_steps=3, chains=8, images=100),
        Sandwiched(start="posterior", temperatures=100, leapfrog_steps=4, chains=10, images=100),
        Sandwiched(start="prior", temperatures=50, leapfrog_steps=10, chains=8, images=100),
        Sandwiched(start="base", temperatures=50, leapfrog_steps=10, chains=8, images=100),
        Sandwiched(start="prior", temperatures=499, leapfrog_steps=10, chains=16, images=25),
        Sandwiched(start="base", temperatures=499, leapfrog_steps=10, chains=16, images=25),
        Sandwiched(start="prior", temperatures=2000, leapfrog_steps=10, chains=8, images=10),
    ),
    timing_rounds=9,
)

QUICK = Plan(
    overrides=(
        "data.source='mnist_mini'",
        "model.latent_size=4",
        "model.encoder.mlp.hidden_sizes=[16]",
        "model.decoder.mlp.hidden_sizes=[16]",
        "model.flow.made.width=8",
        "training.epochs=1",
        "evaluation.bound_images=100",
        "evaluation.importance_sampling.images=10",
        "evaluation.importance_sampling.samples=10",
    ),
    first_image=100,
    pilots=tuple(
        HaisConfig(start=start, chains=4, temperatures=4, leapfrog_steps=2, pilot_images=4, pilot_passes=1)
        for start in ("posterior", "prior", "base")
    ),
    reference=Annealing(start="posterior", temperatures=8, leapfrog_steps=2, chains=16, runs=2, images=6),
    sampling=Sampling(samples=1000, runs=1, images=6),
    annealing=(
        Annealing(start="posterior", temperatures=4, leapfrog_steps=2, chains=16, runs=2, images=6),
        Annealing(start="prior", temperatures=8, leapfrog_steps=2, chains=8, runs=1, images=4),
        Annealing(start="base", temperatures=4, leapfrog_steps=2, chains=8, runs=1, images=4),
    ),
    sandwiches=(
        Sandwiched(start="posterior", temperatures=4, leapfrog_steps=2, chains=4, images=4),
        Sandwiched(start="prior", temperatures=4, leapfrog_steps=2, chains=4, images=4),
    ),
    timing_rounds=2,
)


def main(
    cache: Annotated[Path, typer.Argument(help="Folder for the trained model and log-weights; created if missing.")],
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
    docs: Annotated[Path | None, typer.Option(help="Folder of the page; default: docs, with --quick CACHE.")] = None,
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data sets; default: $IAFSWEEP_DATA, else a cache folder.")
    ] = None,
    show_only: Annotated[
        bool, typer.Option("--show-only", help="Measure nothing; write page and plot from docs/figures.")
    ] = False,
) -> None:
    """Train the model, measure the estimators, and write tables and plot into the page."""
    torch.set_num_threads(1)
    docs = docs or (cache if quick else ROOT / "docs")
    figures = docs / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    if not show_only:
        plan, place = (QUICK, cache / "quick") if quick else (FULL, cache)
        results = measure(plan, place, (data_root or default_data_root()).expanduser().absolute())
        write_text(figures / RESULTS, json.dumps(results, indent=1) + "\n")
    results = json.loads((figures / RESULTS).read_text(encoding="utf-8"))
    draw(results, figures / "estimators.png")
    page = docs / "estimators.md"
    template = page if page.is_file() else ROOT / "docs" / "estimators.md"
    write_text(page, fill_page(template.read_text(encoding="utf-8"), results))


def measure(plan: Plan, cache: Path, root: Path) -> Results:
    """Train and measure what is missing in the cache; return all figures."""
    cache.mkdir(parents=True, exist_ok=True)
    config = load_config(str(HERE / "mnist_mlp.toml"), list(plan.overrides))
    folder = RunFolder(cache / "model")
    _train(config, folder, root)
    trained = load_trained_model(folder, config.evaluation.checkpoint, torch.device("cpu"))
    trained.model.requires_grad_(requires_grad=False)
    bench = Bench(cache, trained.model, load_test_images(config.data, root), config, plan.first_image, plan.pilots)
    run_all(bench, (plan.reference, plan.sampling, *plan.annealing), plan.sandwiches)
    seconds = evaluation_seconds(bench, plan.reference.images, plan.timing_rounds)
    return {
        "model": _model_figures(folder, config),
        "machine": {"processor": processor(), "threads": 1, "torch": torch.__version__.split("+")[0]},
        **collect(bench, plan.reference, plan.sampling, plan.annealing, plan.sandwiches, seconds),
    }


def _train(config: RunConfig, folder: RunFolder, root: Path) -> None:
    if folder.config.is_file() and folder.read_config() != config:
        raise typer.BadParameter(
            f"{folder.config} is not the configuration of this script, so the measurements there cannot be used; name "
            f"another CACHE, or empty this one"
        )
    if folder.evaluation.is_file():
        return
    code = train_and_score(
        config,
        folder,
        device="cpu",
        threads=1,
        root=root,
        resume=folder.config.is_file(),
        evaluate_only=False,
        console=Console(highlight=False),
    )
    if code:
        raise typer.Exit(code)


def _model_figures(folder: RunFolder, config: RunConfig) -> dict[str, object]:
    evaluation = folder.read_evaluation()
    bounds = {each.split: each.nll for each in evaluation.estimates if each.method == "negative_elbo"}
    return {
        "title": config.title,
        "epochs": config.training.epochs,
        "parameters": evaluation.parameters,
        "best_epoch": evaluation.epoch,
        "training_seconds": sum(line.seconds for line in read(folder.metrics)),
        "bounds": bounds,
    }


if __name__ == "__main__":
    typer.run(main)
