"""The work behind `run_single.py`: train in a run folder, then score what was trained."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

from iafsweep.cli import exits
from iafsweep.cli.progress import ScoringProgress, TrainingProgress
from iafsweep.cli.tables import figures_table, sandwich_lines, search_lines
from iafsweep.config import RunConfig
from iafsweep.data import load_test_images, load_training_images
from iafsweep.evaluation.report import evaluate, write_images
from iafsweep.records import DeviceChoice, Evaluation
from iafsweep.training import DivergedError, RunFolder, Trainer, device_name, load_trained_model, resolve_device
from iafsweep.training.comparison import refuse_other_training


def train_and_score(
    config: RunConfig,
    folder: RunFolder,
    *,
    device: DeviceChoice,
    threads: int | None,
    root: Path,
    resume: bool,
    evaluate_only: bool,
    again: str,
    console: Console,
) -> int:
    """Train (unless only scoring was asked for), score, print the figures; return the exit code.

    Args:
        config: what to train.
        folder: where.
        device: on what.
        threads: CPU threads; None for PyTorch's choice.
        root: folder of data sets.
        resume: go on with the run in the folder.
        evaluate_only: score it only.
        again: the command that resumes, printed when interrupted.
        console: where to print.

    Raises:
        UserError: the device, the data or the folder cannot be used as asked.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    where = resolve_device(device)
    try:
        if evaluate_only:
            refuse_other_training(folder.read_config(), config, folder)
        else:
            _train(config, folder, where, root, resume=resume, console=console)
        _score(config, folder, where, root, console)
    except exits.INTERRUPTS as interrupt:
        console.print(f"\nInterrupted. To go on:\n  {again}", markup=False, soft_wrap=True)
        return exits.code_of(interrupt)
    except DivergedError as error:
        console.print(f"{error}; the last good checkpoint is {folder.last}", markup=False, soft_wrap=True)
        return exits.DIVERGED
    return 0


def _train(
    config: RunConfig, folder: RunFolder, device: torch.device, root: Path, *, resume: bool, console: Console
) -> None:
    images = load_training_images(config.data, root)
    begin = Trainer.resume if resume else Trainer.start
    trainer = begin(config, images, folder, device)
    if trainer.remark:
        console.print(f"Note: {trainer.remark}", markup=False, soft_wrap=True)
    batches = len(images.training) // config.training.batch_size
    console.print(
        f"Training {folder.path} on {trainer.place}: {trainer.parameters:,} parameters, "
        f"{len(images.training):,} training and {len(images.validation):,} validation images",
        soft_wrap=True,
    )
    progress = TrainingProgress(console, config.training.epochs, trainer.epochs_done, batches)
    try:
        with progress.shown():
            while trainer.epochs_done < config.training.epochs:
                progress.epoch_done(trainer.run_epoch(progress.batch_done))
        trainer.finish()
    except exits.INTERRUPTS:
        trainer.interrupt()
        raise
    finally:
        trainer.close()


def _score(config: RunConfig, folder: RunFolder, device: torch.device, root: Path, console: Console) -> None:
    trained = load_trained_model(folder, config.evaluation.checkpoint, device)
    images = load_training_images(config.data, root).to(device)
    test = load_test_images(config.data, root).to(device)
    progress = ScoringProgress(console)
    with progress.shown():
        scores = evaluate(
            trained.model,
            {"train": images.training, "validation": images.validation, "test": test},
            config,
            progress,
        )
    evaluation = Evaluation(
        checkpoint=config.evaluation.checkpoint,
        epoch=trained.epoch,
        parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        device=device_name(device),
        estimates=scores.estimates,
        sandwiches=scores.sandwiches,
    )
    write_images(folder, scores)
    folder.write_evaluation(evaluation)
    console.print(figures_table(scores.estimates))
    for line in (*search_lines(scores.estimates), *sandwich_lines(scores.sandwiches)):
        console.print(line, markup=False, soft_wrap=True)
    console.print(
        f"Checkpoint {evaluation.checkpoint} (epoch {evaluation.epoch}). Run folder: {folder.path}", soft_wrap=True
    )
