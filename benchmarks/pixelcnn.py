"""What does an autoregressive head bring in the same CPU time? `IAFSWEEP_DATA=... python -m benchmarks.pixelcnn CACHE`.

The model of benchmarks/mnist_mlp.toml, with small convolutional networks if asked for, is trained with and without a
`pixelcnn` head, the same CPU seconds each (epochs timed in turns tell how many fit, and schedules are stretched over
them), then scored by importance sampling and HAIS on the same test images. The page in the cache has a row for each and
the paired differences. A second call goes on where the first was stopped: with training, scoring or the page.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from benchmarks.recipes import (
    BASELINE,
    NETWORKS,
    SCORED_QUICK,
    Bench,
    Trained,
    _configuration,
    _turns,
    run_to_its_end,
)
from benchmarks.timing import machine
from iafsweep.api.scoring.score import score as score_run
from iafsweep.atomic import write_text
from iafsweep.config import load_config
from iafsweep.data_root import default_data_root
from iafsweep.records import FIGURE_NAMES, Latents, shown_figures
from iafsweep.results.comparison import compare_images
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder

PLAIN, HEAD = "independent pixels", "autoregressive decoder"
SCORED = (
    "evaluation.bound_images=500",
    "evaluation.importance_sampling.images=500",
    "evaluation.hais.enabled=true",
    "evaluation.hais.images=100",
)


def main(
    cache: Annotated[Path, typer.Argument(help="Folder for the runs; made if missing.")],
    network: Annotated[str, typer.Option(help=f"Below the head: one of {', '.join(NETWORKS)}.")] = "mlp",
    seconds: Annotated[
        float, typer.Option(help="CPU seconds of training each: an hour of two cores is 7200.")
    ] = 7200.0,
    threads: Annotated[int, typer.Option(min=1, help="Cores.")] = 2,
    layers: Annotated[int, typer.Option(help="Of the head.")] = 4,
    maps: Annotated[int, typer.Option(help="Of the head.")] = 32,
    kernel: Annotated[int, typer.Option(help="Of the head.")] = 5,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
) -> None:
    """Train, score, write the page."""
    torch.set_num_threads(threads)
    cache.mkdir(parents=True, exist_ok=True)
    bench, place = Bench(cache, network, quick), "model.decoder.autoregressive"
    sizes = {"layers": layers, "maps": maps, "kernel": kernel}
    head = (f"{place}.kind=pixelcnn", *(f"{place}.pixelcnn.{name}={value}" for name, value in sizes.items()))
    changes = {PLAIN: (), HEAD: head}
    names = {PLAIN: f"{network}-plain", HEAD: f"{network}-head-{layers}x{maps}x{kernel}"}
    folders = {name: RunFolder(cache / path) for name, path in names.items()}
    pace = _pace(bench, head, cache / f"{names[HEAD]}.pace")
    trained = {}
    for name, folder in folders.items():
        config = _configuration(bench, BASELINE, 0, max(2, round(seconds / pace[name])), *changes[name])
        kept = cache / f"{folder.path.name}.json"
        known = kept.exists()
        trained[name] = Trained(**json.loads(kept.read_text("utf-8"))) if known else run_to_its_end(config, folder)
        typer.echo(f"{name}: {trained[name]}")
    for name, folder in folders.items():
        if not folder.evaluation.exists():
            scored = load_config(str(folder.config), [*(SCORED_QUICK if quick else SCORED)])
            score_run(scored, folder, default_data_root(), device="cpu", threads=threads)
        typer.echo(f"{name}: scored")
    text = _page(folders, trained)
    write_text(cache / f"{names[HEAD]}.md", text)
    typer.echo(text)


def _pace(bench: Bench, head: tuple[str, ...], kept: Path) -> dict[str, float]:
    """CPU seconds of an epoch of each; measured once, so that a run that goes on has the epochs it began with."""
    if not kept.exists():
        with_head, plain = (1.0, 1.0) if bench.quick else _turns(bench, BASELINE, head)
        write_text(kept, json.dumps({PLAIN: plain, HEAD: with_head}))
    found: dict[str, float] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _page(folders: dict[str, RunFolder], trained: dict[str, Trained]) -> str:
    lines = [
        "nats per image, ± standard error over images; each model is a row of its own. Measured on "
        f"{machine(torch.device('cpu'))}.",
        "",
        "| model | epochs | CPU seconds | validation bound | latent variables carry | test NLL, IS | test NLL, HAIS |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, folder in folders.items():
        evaluation, run = folder.read_evaluation(), trained[name]
        figures = shown_figures(evaluation.estimates)
        shown = [
            f"{each.nll:.2f} ± {each.standard_error:.2f} ({each.images:,} images, "
            f"{each.untrusted_share or 0:.0%} untrusted)"
            for each in (figures["importance_sampling", "test"], figures["hais", "test"])
        ]
        cells = (
            name,
            run.epochs,
            f"{run.seconds:,.0f}",
            f"{run.bound:.2f}",
            _latents(folder, evaluation.epoch),
            *shown,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    tables = [pd.read_parquet(folders[name].per_image) for name in (HEAD, PLAIN)]
    lines += ["", f"Paired, {HEAD} minus {PLAIN}, on the same images and bits:", ""]
    lines += [
        f"- {FIGURE_NAMES[each.method]} ({each.settings}, {each.images:,} images): {each.difference:+.3f} ± "
        f"{each.standard_error:.3f}"
        for each in compare_images(*tables, HEAD, PLAIN).differences
        if each.split == "test"
    ]
    return "\n".join(lines) + "\n"


def _latents(folder: RunFolder, epoch: int) -> Latents:
    """What the latent variables carry at the epoch that was scored."""
    return next(each.latents for each in metrics_file.read(folder.metrics) if each.epoch == epoch)


if __name__ == "__main__":
    typer.run(main)
