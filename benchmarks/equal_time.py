"""Training for equal CPU time: what an epoch costs beside another one, and runs that are trained once.

CPU time is that of the process, so that other work on the machine hardly matters. Whatever has been made is kept in a
folder, the cache of a benchmark, where a second call finds it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.data_root import default_data_root
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import DivergedError, Trainer

TURNS = 5
"""Epochs each of two configurations is timed for."""


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


def in_turns(first: RunConfig, second: RunConfig) -> tuple[float, float]:
    """CPU seconds of an epoch of two configurations, in turns so that both have the same disturbances.

    On a tenth of the images, several times; the least counts, since what disturbs a turn makes it longer.
    """
    seconds: tuple[list[float], list[float]] = [], []
    with TemporaryDirectory() as folder:
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


def measured_once(kept: Path, measure: Callable[[], float]) -> float:
    """Return the figure in a file, which is measured and written if it is not there.

    A run that is resumed keeps its epochs so, and of two processes that measure at once both use what the first wrote.
    """
    if not kept.exists():
        figure = measure()
        if not kept.exists():
            write_text(kept, str(figure))
    return float(kept.read_text(encoding="utf-8"))


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


def known_run(folder: RunFolder) -> Trained | None:
    """What a run came to; None if it has not."""
    kept = folder.path.with_name(f"{folder.path.name}.json")
    return Trained(**json.loads(kept.read_text(encoding="utf-8"))) if kept.exists() else None
