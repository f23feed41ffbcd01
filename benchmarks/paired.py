"""Does compiled training in bfloat16 reach the same bound? `IAFSWEEP_DATA=... python -m benchmarks.paired`.

Each seed trains a short recipe of the mlp model both ways, with the same initial weights, batches and noise. The
validation bounds of the last epoch are compared, measured in float32 both times. A second call with the same cache
continues where the first was stopped; runs on another device, and those of `--quick`, are kept separately.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated

import torch
import typer

from benchmarks.timing import begin
from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, load_config
from iafsweep.data import load_training_images
from iafsweep.data_root import default_data_root
from iafsweep.training import RunFolder, Trainer

HERE = Path(__file__).parent
# 97.5 % points of Student's t with 1, 2, ... degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
QUICK = (
    "data.source='mnist_mini'",
    "data.validation_images=9000",
    "training.batch_size=500",
    "model.encoder.mlp.hidden_sizes=[16]",
    "model.decoder.mlp.hidden_sizes=[16]",
    "model.flow.made.width=32",
    "model.flow.depth=1",
)


def main(
    cache: Annotated[Path, typer.Argument(help="Folder for the runs; created if missing.")],
    seeds: Annotated[int, typer.Option(min=2, max=10, help="Number of seeds to pair.")] = 5,
    epochs: Annotated[int, typer.Option(help="Epochs of each run.")] = 4,
    precision: Annotated[str, typer.Option(help="Precision of the fast runs: float32 or bfloat16.")] = "bfloat16",
    compiled: Annotated[bool, typer.Option(help="Whether the fast runs are compiled.")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
) -> None:
    """Train the pairs; print the differences, their mean and its 95 % interval."""
    console, device = begin()
    if quick:
        cache, seeds, epochs, compiled = cache / "quick", 2, 1, False
    plain, fast = ("float32", "off"), (precision, "on" if compiled else "off")
    differences = []
    for seed in range(seeds):
        bounds = [_bound(cache, seed, epochs, *way, QUICK if quick else (), device) for way in (plain, fast)]
        differences.append(bounds[1] - bounds[0])
        console.print(f"seed {seed}: float32 {bounds[0]:.3f}, fast {bounds[1]:.3f}, difference {differences[-1]:+.3f}")
    half = STUDENT[seeds - 2] * stdev(differences) / math.sqrt(seeds)
    mean = fmean(differences)
    console.print(
        f"fast ({precision}, {'compiled' if compiled else 'eager'}) minus float32 eager, validation bound after "
        f"{epochs} epochs: {mean:+.3f} nats, 95 % interval {mean - half:+.3f} to {mean + half:+.3f}",
        soft_wrap=True,
    )


def _bound(
    cache: Path,
    seed: int,
    epochs: int,
    precision: str,
    compiling: str,
    overrides: tuple[str, ...],
    device: torch.device,
) -> float:
    """Return the validation bound of a run's last epoch, nats per image, from the cache or by training."""
    kept = cache / f"{device.type}-{precision}-{compiling}-{epochs}-{seed}.json"
    if not kept.exists():
        config = load_config(
            str(HERE / "mnist_mlp.toml"),
            [
                f"training.seed={seed}",
                f"training.epochs={epochs}",
                f"training.precision='{precision}'",
                f"training.compile='{compiling}'",
                "training.learning_rate_decay_epochs=1",
                *overrides,
            ],
        )
        write_text(kept, json.dumps(_train(config, cache / kept.stem, device)))
    return float(json.loads(kept.read_text(encoding="utf-8")))


def _train(config: RunConfig, path: Path, device: torch.device) -> float:
    images = load_training_images(config.data, default_data_root())
    folder = RunFolder(path)
    begin = Trainer.resume if folder.last.exists() else Trainer.start
    trainer = begin(config, images, folder, device)
    bound = None
    while trainer.epochs_done < config.training.epochs:
        bound = trainer.run_epoch().validation_negative_elbo
    trainer.finish()
    if bound is None:
        raise typer.BadParameter(f"{path} is already trained, but its bound was not kept; remove it to train again")
    return bound


if __name__ == "__main__":
    typer.run(main)
