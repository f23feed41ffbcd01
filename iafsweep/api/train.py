"""Train one configuration, and score what was trained: `train`, `score`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from iafsweep.api.news import RunNews, StepNews
from iafsweep.api.own_images import Given, told, with_images
from iafsweep.config import RunConfig
from iafsweep.data import Images, TrainingImages, load_test_images, load_training_images
from iafsweep.data.fingerprint import fingerprint, refuse_other_images, unknown_images
from iafsweep.errors import UserError
from iafsweep.evaluation.evaluate import evaluate, write_images
from iafsweep.evaluation.memory import refuse_unscorable
from iafsweep.evaluation.previous import read_earlier, with_earlier
from iafsweep.limits import usable_cpus
from iafsweep.models import count_parameters
from iafsweep.records import DeviceChoice, Evaluation, Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.signals import Terminated, between_steps
from iafsweep.training import Trainer, device_name, load_trained_model, resolve_device
from iafsweep.training.batches import batch_count
from iafsweep.training.checkpoint import checkpoint_digest
from iafsweep.training.comparison import refuse_training_changes
from iafsweep.training.device import REMEDY, is_out_of_memory, refuse_too_large
from iafsweep.training.run_log import add_test_figures


def train(
    config: RunConfig,
    folder: RunFolder,
    data_root: Path,
    *,
    images: Given = None,
    device: DeviceChoice = "auto",
    threads: int | None = None,
    resume: bool = False,
    news: RunNews | None = None,
) -> Evaluation:
    """Train a configuration and score it; return its figures.

    Args:
        config: what to train.
        folder: where.
        data_root: folder of data sets.
        images: one's own, in place of those that the configuration names, or where they are.
        device: on what.
        threads: CPU threads; None for PyTorch's choice, or as many as this process may keep busy if that is less.
        resume: go on with the run in the folder.
        news: hears of it.

    Raises:
        UserError: the device, the data or the folder cannot be used as asked, or the memory does not suffice.
        DivergedError: the bound was no number; the last good checkpoint stays.
        KeyboardInterrupt, Terminated: a signal came; what was trained is saved.
    """
    news = news or RunNews()
    config, own = with_images(config, images)
    where = _prepare(config, device, threads)
    both = load_training_images(config.data, data_root, own)
    if own is not None:
        news.note(told(config.data, own))
    refuse_too_large(config, where)
    with folder.held():
        _train(config, both, folder, where, resume=resume, news=news)
        return _score(config, folder, where, data_root, own, news)


def score(
    config: RunConfig,
    folder: RunFolder,
    data_root: Path,
    *,
    images: Given = None,
    device: DeviceChoice = "auto",
    threads: int | None = None,
    news: RunNews | None = None,
) -> Evaluation:
    """Score a run that was trained, perhaps with other `evaluation.*`; return its figures.

    Args:
        config: the run's, with what is to be scored.
        folder: its folder.
        data_root: folder of data sets.
        images: as :func:`train`; they must be those that it was trained on.
        device: on what.
        threads: as :func:`train`.
        news: hears of it.

    Raises:
        UserError: as :func:`train`; or the configuration would train another model.
    """
    config, own = with_images(config, images)
    where = _prepare(config, device, threads)
    refuse_training_changes(folder.read_config(), config, folder)
    with folder.held():
        folder.remove_leftovers()
        return _score(config, folder, where, data_root, own, news or RunNews())


def _prepare(config: RunConfig, device: DeviceChoice, threads: int | None) -> torch.device:
    if threads is None and (cpus := usable_cpus().amount) < torch.get_num_threads():
        threads = cpus
    if threads is not None:
        torch.set_num_threads(threads)
    where = resolve_device(device, "--device")
    refuse_unscorable(config)
    return where


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
    config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device, *, resume: bool, news: RunNews
) -> None:
    doing = f"training with a batch of {config.training.batch_size:,} images on {device.type}"
    with _memory_in_words(doing, REMEDY):
        trainer = (Trainer.resume if resume else Trainer.start)(config, images, folder, device)
        try:
            batches = batch_count(len(images.training), config.training.batch_size)
            with news.training(trainer, images, batches) as steps, between_steps() as check:
                _train_all(trainer, steps, check)
            news.trained(trainer)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error) and not resume and trainer.epochs_done == 0:
                trainer.close()
                folder.discard()
            raise
        finally:
            trainer.close()


def _train_all(trainer: Trainer, steps: StepNews, check: Callable[[], None]) -> None:
    """Train all epochs; ``check`` raises an interrupt between two steps, and what is trained is then saved."""

    def batch_done(images: int) -> None:
        steps.batch_done(images)
        check()

    try:
        while not trainer.is_done:
            steps.epoch_done(trainer.run_epoch(batch_done))
        trainer.finish()
    except (KeyboardInterrupt, Terminated):
        trainer.interrupt()
        raise


def _score(
    config: RunConfig, folder: RunFolder, device: torch.device, data_root: Path, own: Images | None, news: RunNews
) -> Evaluation:
    trained = load_trained_model(folder, config.evaluation.checkpoint, device)
    images, test = load_training_images(config.data, data_root, own), load_test_images(config.data, data_root, own)
    known, tested = folder.read_fingerprints(), fingerprint(test)
    refuse_other_images(folder.path, known, {**images.fingerprints, "test": tested})
    if not known:
        news.note(unknown_images(str(folder.path), config.data.source))
    images, test = images.to(device), test.to(device)
    remedy = "lower evaluation.hais.chains, evaluation.hais.temperatures or evaluation.importance_sampling.samples"
    with news.scoring() as progress, _memory_in_words(f"scoring on {device.type}", remedy):
        splits: dict[Split, Tensor] = {"train": images.training, "validation": images.validation, "test": test}
        scores = evaluate(trained.model, splits, config, progress)
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
    folder.tested_on(tested)
    add_test_figures(folder.tensorboard, evaluation)
    return evaluation
