"""With the time that is left: the longest useful training, with checkpoints, and its likelihood at the end."""

from __future__ import annotations

import shutil
import time
from itertools import islice
from typing import Any, Literal

import torch

from benchmarks.gpu.context import Context, run_step
from benchmarks.gpu.images import data_config, root
from benchmarks.gpu.scoring import score_while
from benchmarks.gpu.throughput import EAGER
from benchmarks.timing import stopwatch
from benchmarks.train import AS_TRAINED, MODELS, endless, training_step
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, load_test_images, load_training_images
from iafsweep.evaluation.scoring import score_shard
from iafsweep.evaluation.shards import Shard, ShardResult, plan_shards
from iafsweep.evaluation.summary import summarise
from iafsweep.models import folded
from iafsweep.training import RunFolder, Trainer, load_trained_model, resolve_device
from iafsweep.training.batches import batch_count
from iafsweep.training.computing import resolve_precision

SCORING = 0.35
"""Share of the time that is kept for the likelihood."""
WITHOUT_STEPS = 0.8
"""Share of training that the steps are; validation, figures and checkpoints are the rest."""
FASTER = 1.1
"""A compiled step is taken if it is so many times as fast as an eager one."""
CACHED = 0.3
"""Share of the seconds of compiling that it takes where what is compiled is cached; a guess."""
CHECKPOINTS = 4


def main(context: Context) -> None:
    """Train for as long as there is time for scoring too, then score from the best epoch."""
    device = resolve_device(context.device)
    data = data_config(context)
    config = recipe(context, device, RunConfig(data=data, model=MODELS[context.sizes.compiled_model]))
    context.record(epochs_planned=config.training.epochs, compile=config.training.compile)
    path = context.work / "gpu-training"
    shutil.rmtree(path, ignore_errors=True)
    folder = RunFolder(path)
    images = TrainingImages(*(each[: context.sizes.training_images] for each in load_training_images(data, root())))
    _train(context, config, images, folder, device)
    for file in (folder.metrics, folder.config):
        shutil.copy(file, context.kept / f"training-{file.name}")
    _score(context, folder, device)


def recipe(context: Context, device: torch.device, config: RunConfig) -> RunConfig:
    """Return the reference recipe for as many epochs as the time allows, its schedules in proportion."""
    rate, compiled, compiling = _pace(context, device)
    there = min(config.data.training_images, context.sizes.training_images)
    images = batch_count(there, context.sizes.batch_size) * context.sizes.batch_size
    seconds = max(context.seconds_left * (1 - SCORING) - compiling, 1.0)
    epochs = max(1, min(context.sizes.epochs, int(WITHOUT_STEPS * seconds * rate / images)))
    changes = {
        "epochs": epochs,
        "batch_size": context.sizes.batch_size,
        "learning_rate_decay_epochs": max(1, round(0.32 * epochs)),  # 800 of 2500
        "kl_warmup_epochs": round(0.08 * epochs),  # 200 of 2500
        "checkpoint_every_epochs": max(1, -(-epochs // CHECKPOINTS)),
        "compile": compiled,
    }
    # The reference's values are for 750,000 steps.
    model = config.model.model_copy(update={"batch_norm_momentum": 0.05, "posterior_offset": -2.0})
    return config.model_copy(update={"model": model, "training": config.training.model_copy(update=changes)})


def _pace(context: Context, device: torch.device) -> tuple[float, Literal["on", "off"], float]:
    """Return images a second as measured before, or here if they were not, whether to compile, and for how long."""
    precision = resolve_precision("auto", device)

    def measured(step: str) -> float:
        rows = context.earlier.get(step, {}).get("rows", [])
        rates = [
            row["images_a_second"]
            for row in rows
            if row["batch_size"] == context.sizes.batch_size
            and row["name"].endswith(precision)
            and not row["name"].startswith("products")
            and not row.get("compiling_failed")
        ]
        return max(rates, default=0.0)

    eager, compiled = measured(EAGER), measured("training_compiled")
    if not eager:
        config = MODELS[context.sizes.compiled_model]
        step = training_step(config, AS_TRAINED._replace(precision=precision), device)
        batches = endless(config, context.sizes.batch_size, device)
        measure = stopwatch(lambda: [step(batch, 0.5) for batch in islice(batches, 5)])
        measure()
        eager = 5 * context.sizes.batch_size / measure()
    if compiled <= FASTER * eager:
        return eager, "off", 0.0
    return compiled, "on", CACHED * context.earlier["training_compiled"]["rows"][0]["compile_seconds"]


def _train(
    context: Context, config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device
) -> None:
    until = time.time() + (1 - SCORING) * context.seconds_left
    trainer = Trainer.start(config, images, folder, device)
    lasts = 0.0
    while trainer.epochs_done < config.training.epochs and (not lasts or time.time() + lasts < until):
        started, compiled = time.time(), trainer.state.compile_seconds
        metrics = trainer.run_epoch()
        lasts = time.time() - started - (trainer.state.compile_seconds - compiled)
        context.append(
            "curve",
            {"epoch": metrics.epoch, "training": metrics.train_negative_elbo,
             "validation": metrics.validation_negative_elbo, "seconds": metrics.seconds,
             "images_a_second": metrics.images_per_second},
        )  # fmt: skip
    whole = trainer.epochs_done == config.training.epochs
    if whole:
        trainer.finish()
    else:
        trainer.interrupt()
    context.record(epochs=trainer.epochs_done, whole=whole, run=_state(trainer))


def _state(trainer: Trainer) -> dict[str, Any]:
    found: dict[str, Any] = trainer.state.model_dump(mode="json")
    return found


def _score(context: Context, folder: RunFolder, device: torch.device) -> None:
    """Importance sampling with all samples, of as many test images as there is time for."""
    trained = load_trained_model(folder, "best", device)
    model, config = folded(trained.model), trained.config
    images = load_test_images(config.data, root()).to(device)
    shards = plan_shards(
        "importance_sampling", "test", len(images), context.sizes.samples, config.data.binarisation_seed,
        size=context.sizes.shard_images,
    )[: context.sizes.shards]  # fmt: skip

    def score(shard: Shard) -> ShardResult:
        return score_shard(model, images[shard.first : shard.first + shard.count], shard, config)

    done = score_while(context, shards, score, lambda: context.seconds_left)
    figure = summarise(done, config.evaluation)
    context.record(
        epoch_scored=trained.epoch,
        nll=figure.nll,
        nll_error=figure.standard_error,
        nll_images=figure.images,
        nll_of=len(images),
        nll_samples=figure.samples,
        nll_untrusted=figure.untrusted_share,
        nll_seconds=figure.seconds,
    )


if __name__ == "__main__":
    run_step(main)
