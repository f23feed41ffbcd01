"""The work behind `run_single.py`: train in a run folder, then score what was trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console

from iafsweep.cli import errors as exits
from iafsweep.cli.errors import faults_in_words
from iafsweep.cli.progress import ScoringProgress, TrainingProgress
from iafsweep.cli.tables import figures_table, sandwich_lines, search_lines
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, load_test_images, load_training_images
from iafsweep.errors import UserError
from iafsweep.evaluation.evaluate import evaluate, write_images
from iafsweep.evaluation.memory import refuse_unscorable
from iafsweep.evaluation.previous import read_earlier, with_earlier
from iafsweep.limits import usable_cpus
from iafsweep.models import count_parameters
from iafsweep.records import DeviceChoice, Evaluation
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.signals import between_steps
from iafsweep.training import DivergedError, Trainer, device_name, load_trained_model, resolve_device
from iafsweep.training.batches import batch_count
from iafsweep.training.checkpoint import checkpoint_digest
from iafsweep.training.comparison import refuse_training_changes
from iafsweep.training.memory import REMEDY, is_out_of_memory, refuse_too_large
from iafsweep.training.run_log import add_test_figures


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
    same: str = "",
    news: Callable[[], None] = lambda: None,
) -> int:
    """Train (unless only scoring was asked for), score, print the figures; return the exit code.

    Args:
        config: what to train.
        folder: where.
        device: on what.
        threads: CPU threads; None for PyTorch's choice, or as many as this process may keep busy if that is less.
        root: folder of data sets.
        resume: go on with the run in the folder.
        evaluate_only: score it only.
        again: the command that resumes, printed when interrupted.
        console: where to print.
        same: the command that was given, printed instead where there is nothing to resume.
        news: called after each epoch.

    Raises:
        UserError: the device, the data or the folder cannot be used as asked.
    """
    if threads is None and (cpus := usable_cpus().amount) < torch.get_num_threads():
        threads = cpus
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        where = resolve_device(device, "--device")
        with faults_in_words(folder.path, same or again if evaluate_only else again):
            refuse_unscorable(config)
            if evaluate_only:
                refuse_training_changes(folder.read_config(), config, folder)
                with folder.held():
                    folder.remove_leftovers()
                    _score(config, folder, where, root, console)
            else:
                images = load_training_images(config.data, root)
                refuse_too_large(config, where)
                with folder.held():
                    _train(config, images, folder, where, resume=resume, console=console, news=news)
                    _score(config, folder, where, root, console)
    except exits.INTERRUPTS as interrupt:
        can_resume = folder.last.exists() and not evaluate_only
        console.print(
            f"\nInterrupted. To go on:\n  {again if can_resume else same or again}", markup=False, soft_wrap=True
        )
        return exits.code_of(interrupt)
    except DivergedError as error:
        console.print(f"{error}; the last good checkpoint is {folder.last}", markup=False, soft_wrap=True)
        return exits.DIVERGED
    return 0


@contextmanager
def _memory_in_words(doing: str, remedy: str) -> Iterator[None]:
    """Turn a failed allocation into one message."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0] or repr(error)
        raise UserError(f"out of memory while {doing} ({said}); {remedy}") from error


def _train(
    config: RunConfig,
    images: TrainingImages,
    folder: RunFolder,
    device: torch.device,
    *,
    resume: bool,
    console: Console,
    news: Callable[[], None],
) -> None:
    batches = batch_count(len(images.training), config.training.batch_size)
    doing = f"training with a batch of {config.training.batch_size:,} images on {device.type}"
    with _memory_in_words(doing, REMEDY):
        trainer = (Trainer.resume if resume else Trainer.start)(config, images, folder, device)
        console.print(
            f"Training {folder.path} on {trainer.place}: {trainer.parameters:,} parameters, "
            f"{len(images.training):,} training and {len(images.validation):,} validation images",
            markup=False,
            soft_wrap=True,
        )
        if trainer.note:
            console.print(f"Note: {trainer.note}", markup=False, soft_wrap=True)
        progress = TrainingProgress(
            console, config.training.epochs, trainer.epochs_done, batches, trainer.batches_begun
        )
        try:
            with between_steps() as check, progress.shown():
                _train_all(trainer, progress, check, news)
            if trainer.bounds_note:
                console.print(f"Note: {trainer.bounds_note}", markup=False, soft_wrap=True)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error) and not resume and trainer.epochs_done == 0:
                trainer.close()
                folder.discard()
            raise
        finally:
            trainer.close()


def _train_all(
    trainer: Trainer, progress: TrainingProgress, check: Callable[[], None], news: Callable[[], None]
) -> None:
    """Train all epochs; ``check`` raises an interrupt between two steps, and what is trained is then saved."""

    def batch_done(images: int) -> None:
        progress.batch_done(images)
        check()

    try:
        while trainer.epochs_done < trainer.config.training.epochs:
            progress.epoch_done(trainer.run_epoch(batch_done))
            news()
        trainer.finish()
    except exits.INTERRUPTS:
        trainer.interrupt()
        raise


def _score(config: RunConfig, folder: RunFolder, device: torch.device, root: Path, console: Console) -> None:
    trained = load_trained_model(folder, config.evaluation.checkpoint, device)
    images = load_training_images(config.data, root).to(device)
    test = load_test_images(config.data, root).to(device)
    progress = ScoringProgress(console)
    remedy = "lower evaluation.hais.chains, evaluation.hais.temperatures or evaluation.importance_sampling.samples"
    with progress.shown(), _memory_in_words(f"scoring on {device.type}", remedy):
        scores = evaluate(
            trained.model,
            {"train": images.training, "validation": images.validation, "test": test},
            config,
            progress,
        )
    evaluation = Evaluation(
        checkpoint=config.evaluation.checkpoint,
        epoch=trained.epoch,
        parameters=count_parameters(trained.model),
        device=device_name(device),
        estimates=scores.estimates,
        sandwiches=scores.sandwiches,
        checkpoint_digest=checkpoint_digest(folder, config.evaluation.checkpoint)[:16],
    )
    earlier = read_earlier(folder)
    if earlier is not None and earlier.evaluation.checkpoint_digest == evaluation.checkpoint_digest:
        scores = with_earlier(scores, earlier)
        evaluation = evaluation.model_copy(update={"estimates": scores.estimates, "sandwiches": scores.sandwiches})
    write_images(folder, scores)
    folder.write_evaluation(evaluation)
    add_test_figures(folder.tensorboard, evaluation)
    console.print(figures_table(scores.estimates))
    for line in (*search_lines(scores.estimates), *sandwich_lines(scores.sandwiches)):
        console.print(line, markup=False, soft_wrap=True)
    console.print(
        f"Checkpoint {evaluation.checkpoint} (epoch {evaluation.epoch}). Run folder: {folder.path}",
        markup=False,
        soft_wrap=True,
    )
