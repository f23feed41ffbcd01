"""What does an autoregressive head bring in the same CPU time? `IAFSWEEP_DATA=... python -m benchmarks.pixelcnn CACHE`.

search_spaces/best_small.toml is trained as it is and with a `pixelcnn` head, for the same CPU time: epochs timed in
turns tell how many fit. Both are scored by importance sampling and HAIS on the same test images. The page in the cache
has a row for each and the paired differences. A second call continues where the first was stopped. Two processes share
the work if each is given `--only` one of the models; the second to finish writes the page.
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer

from benchmarks.recipes import (
    BEST,
    SCORED_HOUR,
    SCORED_QUICK,
    TINY_BEST,
    TURNS,
    Trained,
    in_turns,
    known_run,
    measured_once,
    run_to_its_end,
    scored_once,
)
from benchmarks.timing import machine
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, load_config
from iafsweep.records import FIGURE_NAMES, Latents, shown_figures
from iafsweep.results.comparison import compare_images
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder

PLAIN, HEAD = "independent pixels", "autoregressive decoder"
SCORED = (
    *SCORED_HOUR,
    "evaluation.bound_images=500",
    "evaluation.importance_sampling.images=500",
    "evaluation.hais.images=100",
)


def main(
    cache: Annotated[Path, typer.Argument(help="Folder for the runs; made if missing.")],
    layers: Annotated[int, typer.Option(help="Of the head.")] = 2,
    maps: Annotated[int, typer.Option(help="Of the head.")] = 16,
    kernel: Annotated[int, typer.Option(help="Of the head.")] = 5,
    epochs: Annotated[int, typer.Option(min=2, help="Of the model without the head.")] = 48,
    precision: Annotated[str, typer.Option(help="Of training: float32 or bfloat16.")] = "float32",
    only: Annotated[str, typer.Option(help=f"One of the two alone: {PLAIN!r} or {HEAD!r}.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
) -> None:
    """Train, score, write the page."""
    torch.set_num_threads(1)
    if only not in ("", PLAIN, HEAD):
        raise typer.BadParameter(f"--only is {PLAIN!r} or {HEAD!r}; found {only!r}")
    cache.mkdir(parents=True, exist_ok=True)
    settings = (f"training.epochs={epochs}", f"training.precision={precision}", "training.compile=off")
    plain = load_config(BEST, [*settings, *(TINY_BEST if quick else ())])
    head = plain.with_values(
        {
            "model.decoder.autoregressive.kind": "pixelcnn",
            "model.decoder.autoregressive.pixelcnn.layers": layers,
            "model.decoder.autoregressive.pixelcnn.maps": maps,
            "model.decoder.autoregressive.pixelcnn.kernel": kernel,
        }
    )
    folders = {PLAIN: RunFolder(cache / "plain"), HEAD: RunFolder(cache / f"head-{layers}x{maps}x{kernel}")}
    for name, folder in folders.items():
        if only in ("", name):
            found = known_run(folder) or run_to_its_end(
                plain if name == PLAIN else _for_as_long(head, plain, folder.path), folder
            )
            typer.echo(f"{name}: {found}")
            scored_once(folder, SCORED_QUICK if quick else SCORED)
    trained = {name: run for name, folder in folders.items() if (run := known_run(folder)) is not None}
    if len(trained) == len(folders) and all(folder.evaluation.exists() for folder in folders.values()):
        text = _page(folders, trained)
        write_text(folders[HEAD].path.with_suffix(".md"), text)
        typer.echo(text)


def _for_as_long(head: RunConfig, plain: RunConfig, place: Path) -> RunConfig:
    """Return ``head`` with as many epochs as fit into the CPU time of ``plain``.

    What an epoch costs beside one of ``plain`` is measured once, so that a run that is resumed keeps its epochs.
    """
    few = {"training.epochs": TURNS}
    ratio = measured_once(
        place.with_suffix(".pace"),
        lambda: operator.truediv(*in_turns(head.with_values(few), plain.with_values(few), place.parent)),
    )
    return head.with_values({"training.epochs": max(2, round(plain.training.epochs / ratio))})


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
    first, second = (pd.read_parquet(folders[name].per_image) for name in (HEAD, PLAIN))
    lines += ["", f"Paired, {HEAD} minus {PLAIN}, on the same images and bits:", ""]
    lines += [
        f"- {FIGURE_NAMES[each.method]} ({each.settings}, {each.images:,} images): {each.difference:+.3f} ± "
        f"{each.standard_error:.3f}"
        for each in compare_images(first, second, HEAD, PLAIN).differences
        if each.split == "test"
    ]
    return "\n".join(lines) + "\n"


def _latents(folder: RunFolder, epoch: int) -> Latents:
    """What the latent variables carry at the epoch that was scored."""
    return next(each.latents for each in metrics_file.read(folder.metrics) if each.epoch == epoch)


if __name__ == "__main__":
    typer.run(main)
