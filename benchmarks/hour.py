"""What does an hour of two cores come to? `IAFSWEEP_DATA=... python -m benchmarks.hour CACHE`.

Models are trained on full MNIST for the same CPU time: search_spaces/best_small.toml, best_small_pixelcnn.toml (the
same with an autoregressive decoder), the best of docs/recipes.md, and today's recipe (benchmarks/mnist_mlp.toml).
Epochs timed in turns tell how many fit. All are scored on the same test images, and docs/hour.md is written once all
are. A second call continues where the first was stopped. Two processes share the work if each is given other models
with `--only`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.equal_time import TURNS, in_turns, known_run, measured_once, run_to_its_end
from benchmarks.nll import Figures, scored_once, standard_error, untrusted
from benchmarks.paired import QUICK
from benchmarks.recipes import BASELINE, configuration
from benchmarks.timing import machine
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, load_config
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder

PAGE = Path(__file__).parent.parent / "docs" / "hour.md"
BEST, HEAD = "best_small", "best_small_pixelcnn"
RECIPE = "no flow+cosine+small autoregressive prior"
"""The best of docs/recipes.md."""
MODELS = (BEST, HEAD, RECIPE, BASELINE)
TINY = (*QUICK, "model.encoder.resnet.maps=2", "model.decoder.resnet.maps=2")


def main(
    cache: Annotated[Path, typer.Argument(help="Folder for the runs; made if missing.")],
    epochs: Annotated[int, typer.Option(min=2, help="Of best_small.toml.")] = 48,
    precision: Annotated[str, typer.Option(help="Of training: float32 or bfloat16.")] = "float32",
    only: Annotated[str, typer.Option(help=f"These alone, with semicolons; of {'; '.join(MODELS)}.")] = "",
    to: Annotated[Path, typer.Option(help="The page.")] = PAGE,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
) -> None:
    """Train, score, write the page."""
    names = [name.strip() for name in only.split(";")] if only else MODELS
    if unknown := [name for name in names if name not in MODELS]:
        raise typer.BadParameter(f"no model is called {unknown[0]!r}; known: {'; '.join(MODELS)}")
    torch.set_num_threads(1)
    cache.mkdir(parents=True, exist_ok=True)
    for name in names:
        folder = _folder(cache, name)
        if (found := known_run(folder)) is None:
            count = _epochs(name, epochs, cache, precision, quick=quick)
            found = run_to_its_end(_configuration(name, count, precision, quick=quick), folder)
        typer.echo(f"{name}: {found}")
        scored_once(folder, quick=quick)
    folders = {name: _folder(cache, name) for name in MODELS}
    if all(known_run(folder) and folder.evaluation.exists() for folder in folders.values()):
        write_text(to, _page(folders, epochs, precision))
        typer.echo(f"written: {to}")


def _folder(cache: Path, name: str) -> RunFolder:
    """Where a model's run is."""
    return RunFolder(cache / name.replace(" ", "_"))


def _configuration(name: str, epochs: int, precision: str, *, quick: bool) -> RunConfig:
    """A model with so many epochs."""
    shared = (f"training.precision={precision}", "training.compile=off")
    if name in (RECIPE, BASELINE):
        return configuration("mlp", name, 0, epochs, *shared, quick=quick)
    return load_config(name, [*shared, *(TINY if quick else ()), f"training.epochs={epochs}"])


def _epochs(name: str, epochs: int, cache: Path, precision: str, *, quick: bool) -> int:
    """How many epochs of a model take the CPU time of ``epochs`` of best_small.toml.

    What an epoch costs beside one of that is measured once, so that a run that is resumed keeps its epochs.
    """
    if name == BEST:
        return epochs

    def measure() -> float:
        seconds, of_best = in_turns(*(_configuration(each, TURNS, precision, quick=quick) for each in (name, BEST)))
        return seconds / of_best

    return max(2, round(epochs / measured_once(_folder(cache, name).path.with_suffix(".pace"), measure)))


_HEAD = """# An hour of two cores

<!-- Written by `python -m benchmarks.hour`; do not edit. -->

What do the recipes for an hour of two CPU cores come to beside the one they replace? Four models, each trained once
(seed 0, {precision}) on full MNIST for the same CPU time, on one thread:

- `best_small`: search_spaces/best_small.toml with {epochs} epochs: residual networks, an autoregressive prior, no flow
  in the posterior, a cosine schedule.
- `best_small_pixelcnn`: search_spaces/best_small_pixelcnn.toml, the same with an autoregressive decoder. Its likelihood
  is a true one as well, but is no measure of the latent variables alone. The pixels of the others are independent
  given z.
- `no flow+cosine+small autoregressive prior`: the best of [recipes.md](recipes.md), with mlps.
- `today`: the recipe of benchmarks/mnist_mlp.toml: mlps, an IAF posterior, a standard normal prior.

All figures are in nats per image, with standard errors over images; lower is better. The test NLL is the sum of the
three columns before it: the bound on all 10,000 test images, how much lower IS-1000 is on some of them, and how much
lower HAIS (`160x3x8`, from the posterior) is than IS on fewer. These differences vary little from image to image, so a
few hundred images suffice, and the figures of easy images are not taken for those of all. A lower bound need not mean a
lower NLL: how far it is below log p(x) depends on the posterior.

Measured with `python -m benchmarks.hour CACHE --epochs {epochs} --precision {precision}` on
{machine}.

"""
_COLUMNS = (
    "| model | epochs | CPU seconds | validation bound | latent variables carry "
    "| test bound (images) | IS - bound | HAIS - IS | test NLL | untrusted by IS / HAIS |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def _page(folders: Mapping[str, RunFolder], epochs: int, precision: str) -> str:
    figures = {name: Figures.of(folder) for name, folder in folders.items()}
    text = _HEAD.format(machine=machine(torch.device("cpu")), epochs=epochs, precision=precision) + _COLUMNS
    for name, folder in folders.items():
        run = known_run(folder)
        assert run is not None
        parts = [f"{part.mean():.2f} ± {standard_error(part):.2f} ({len(part):,})" for part in figures[name].parts()]
        cells = (name, run.epochs, f"{run.seconds:,.0f}", f"{run.bound:.2f}", _carry(folder), *parts)
        text += f"| {' | '.join(map(str, cells))} | **{figures[name]}** | {untrusted(folder)} |\n"
    text += "\nDifferences of test NLL, paired by image and bits:\n\n"
    for name, other in itertools.combinations(MODELS, 2):
        text += f"- {name} minus {other}: {figures[name] - figures[other]}\n"
    return text


def _carry(folder: RunFolder) -> str:
    """What the latent variables carry at the epoch that was scored."""
    epoch = folder.read_evaluation().epoch
    return str(next(each.latents for each in metrics_file.read(folder.metrics) if each.epoch == epoch))


if __name__ == "__main__":
    typer.run(main)
