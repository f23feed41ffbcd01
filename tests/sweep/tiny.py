"""A search space and a trainer so small that a sweep of them takes seconds, importable in Ray's workers."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import torch

from iafsweep.config import RunConfig
from iafsweep.config.sweep import SweepConfig
from iafsweep.data import TrainingImages
from iafsweep.records import Best, EpochMetrics, RunState
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.seeds import generator
from iafsweep.sweep.tune.trial_run import open_trainer
from iafsweep.training import DivergedError

DEPTH, WIDTH, RATE = "model.flow.depth", "model.flow.made.width", "training.learning_rate"
BASE = RunConfig.model_validate(
    {
        "data": {"source": "mnist_mini", "validation_images": 1000},
        "model": {
            "latent_size": 4,
            "posterior_offset": -1.0,
            "batch_norm_momentum": 0.5,  # settles in so few steps
            "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
            "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
            "flow": {"depth": 2, "made": {"width": 8, "hidden_layers": 1}},
        },
        "training": {"epochs": 4, "batch_size": 50, "kl_warmup_epochs": 0, "learning_rate": 2e-3},
    }
)


def tiny_space(epochs: int = 4, **sweep: object) -> SearchSpace:
    """Depth 0 to 3, width where there is a flow, learning rate."""
    settings = {"trials": 4, "scheduler": "none", "max_concurrent": 1, **sweep}
    training = BASE.training.model_copy(update={"epochs": epochs})
    return SearchSpace(
        base=BASE.model_copy(update={"training": training}),
        parameters=(
            Parameter(DEPTH, IntRange(0, 3)),
            Parameter(WIDTH, Choice((4, 8)), parse_condition(f"{DEPTH} > 0")),
            Parameter(RATE, FloatRange(1e-3, 1e-2, None, True)),
        ),
        sweep=SweepConfig.model_validate(settings),
    )


def finite_space(**sweep: object) -> SearchSpace:
    """Seven configurations: depth 0, and depths 1 to 3 with two widths."""
    space = tiny_space(**sweep)
    return replace(space, parameters=space.parameters[:2])


def tiny_images() -> TrainingImages:
    """Blob-like pictures: enough to learn from, milliseconds an epoch."""
    draws = generator("cpu", 7)
    rows = torch.arange(28)
    centres = torch.randint(6, 22, (460, 2), generator=draws)
    squared = (rows[None, :, None] - centres[:, 0, None, None]) ** 2 + (rows - centres[:, 1, None, None]) ** 2
    blobs = (255 * torch.exp(-squared / 18)).to(torch.uint8)[:, None]
    return TrainingImages(blobs[:360], blobs[360:])


class FakeTrainer:
    """Computes a bound from the configuration, and keeps its epoch in a file."""

    def __init__(self, config: RunConfig, images: TrainingImages, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.config = config
        self._file = path / "last.json"
        self.epochs_done = json.loads(self._file.read_text()) if self._file.exists() else 0
        self.calls: list[str] = []

    @property
    def state(self) -> RunState:
        best = Best(epoch=self.epochs_done, validation_negative_elbo=self.bound()) if self.epochs_done else None
        return RunState(status="running", epochs=self.epochs_done, best=best, seconds=1.0, parameters=3)

    @property
    def is_done(self) -> bool:
        return self.epochs_done >= self.config.training.epochs

    end_note = ""

    def bound(self) -> float:
        return (
            100
            + 50 / (1 + self.epochs_done)
            + self.config.model.flow.depth
            - math.log10(self.config.training.learning_rate)
        )

    def run_epoch(self, *progress) -> EpochMetrics:
        self.epochs_done += 1
        self.save()
        return metrics(self.epochs_done, self.bound())

    def save(self) -> None:
        self.calls.append("save")
        self._file.write_text(json.dumps(self.epochs_done))

    def finish(self, status: str = "completed") -> None:
        self.calls.append(status)

    def interrupt(self) -> None:
        self.calls.append("interrupted")

    def close(self) -> None:
        self.calls.append("close")


def metrics(epoch: int, bound: float) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        kl_weight=1.0,
        learning_rate=1e-3,
        train_loss=bound,
        train_negative_elbo=bound,
        train_reconstruction=bound,
        train_kl=0.0,
        validation_negative_elbo=bound,
        images_per_second=1.0,
        seconds=1.0,
    )


def open_fake(config, images, path, device):
    return FakeTrainer(config, images, path), ""


def open_faulty(config, images, path, device):
    """Depth 1 diverges, depth 2 raises, depth 3 is short of GPU memory, in their second epoch."""
    trainer = FakeTrainer(config, images, path)
    whole = trainer.run_epoch

    def run_epoch(*progress) -> EpochMetrics:
        if trainer.epochs_done == 1:
            depth = config.model.flow.depth
            if depth == 1:
                raise DivergedError(metrics(2, math.nan))
            if depth == 2:
                raise ZeroDivisionError("a bug in the network")
            if depth == 3:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return whole()

    trainer.run_epoch = run_epoch
    return trainer, ""


def open_killed_once(config, images, path, device):
    """The real trainer; the first trial's process is killed in the middle of its third epoch, once."""
    trainer, note = open_trainer(config, images, path, device)
    marker = path.parent / "killed"
    if path.name == "t0001" and not marker.exists():
        run_epoch = trainer.run_epoch

        def killed(*progress) -> EpochMetrics:
            def kill(images_trained: int) -> None:
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

            return trainer.__class__.run_epoch(trainer, kill) if trainer.epochs_done == 2 else run_epoch()

        trainer.run_epoch = killed
    return trainer, note


def open_slow_steps(config, images, path, device):
    """The real trainer; a step takes two seconds, an epoch longer than Tune waits for a trial that it stops."""
    trainer, note = open_trainer(config, images, path, device)
    run_epoch = trainer.run_epoch

    def slow(look) -> EpochMetrics:
        def batch_done(images_trained: int) -> None:
            (path.parent / f"{path.name}.batches").write_text(str(time.monotonic()))
            time.sleep(2.0)
            look(images_trained)

        return run_epoch(batch_done)

    trainer.run_epoch = slow
    return trainer, note


def open_filling(config, images, path, device):
    """The real trainer; after the first trial's first epoch the disk is filled but for a few kilobytes, once."""
    trainer, note = open_trainer(config, images, path, device)
    ballast = path.parents[2] / "filled"
    if path.name == "t0001" and not ballast.exists():
        run_epoch = trainer.run_epoch

        def filling(*progress) -> EpochMetrics:
            metrics = run_epoch()
            if trainer.epochs_done == 1:
                with ballast.open("wb") as file:
                    while (room := shutil.disk_usage(path).free - 16384) > 0:
                        file.write(b"\0" * min(room, 2**20))
                        file.flush()
            return metrics

        trainer.run_epoch = filling
    return trainer, note


def open_placed(config, images, path, device):
    """A trainer that says on which node and GPU it runs, and writes down every epoch it trains."""
    import ray

    path.mkdir(parents=True, exist_ok=True)
    context = ray.get_runtime_context()
    (path / "place").write_text(f"{context.get_node_id()} {context.get_accelerator_ids()['GPU']}")
    trainer = FakeTrainer(config, images, path)
    run_epoch = trainer.run_epoch

    def slow(*progress) -> EpochMetrics:
        time.sleep(0.3)
        with (path / "epochs").open("a") as file:
            file.write(f"{trainer.epochs_done + 1}\n")
        return run_epoch()

    trainer.run_epoch = slow
    return trainer, ""


def take_cpu(gpus):
    """The device of a trial that Ray gave a GPU which is not there."""
    assert os.environ["CUDA_VISIBLE_DEVICES"] != ""
    return torch.device("cpu")
