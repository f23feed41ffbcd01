"""Train one configuration and score the result: `train`."""

from collections.abc import Callable
from pathlib import Path

import torch

from iafsweep.api.news import RunNews, StepNews
from iafsweep.api.own_images import Given, told, with_images
from iafsweep.api.run import Run, load_run
from iafsweep.api.scoring.score import computing, memory_in_words, score_held
from iafsweep.api.shown.faults import faults_in_words
from iafsweep.api.shown.progress import Shown
from iafsweep.api.shown.runs import run_news
from iafsweep.api.spaces import checked_config
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages, load_training_images
from iafsweep.data_root import absolute_data_root
from iafsweep.evaluation.memory import refuse_unscorable
from iafsweep.records import DeviceChoice
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.signals import Terminated, between_steps, handing_on
from iafsweep.training import Trainer
from iafsweep.training.batches import batch_count
from iafsweep.training.device import REMEDY, is_out_of_memory, refuse_too_large


def train(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    images: Given = None,
    data_root: str | Path | None = None,
    device: DeviceChoice = "auto",
    threads: int | None = None,
    progress: Shown | RunNews = "auto",
) -> Run:
    """Train a configuration and score it, with the same files and figures as ``run_single.py``.

    Ctrl-C saves after the current step. ``resume=True`` or ``run_single.py --run FOLDER --resume`` continues from
    there, bit for bit as if training had not stopped. SIGTERM and SIGHUP save too; the handler that was there before
    then receives the signal, which usually ends the program. Outside the main thread, where Python allows no handlers,
    signals are left to the main thread. Signal handlers and PyTorch's number of threads are restored at the end.

    Args:
        config: the configuration to train.
        folder: a new folder, or, with ``resume``, that of the run.
        resume: continue the run in the folder; ``config`` may ask for more epochs.
        images: your own images (:class:`iafsweep.Images` or a path), in place of those that the configuration names.
        data_root: folder of data sets; None: ``$IAFSWEEP_DATA``, else a cache folder.
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.
        threads: number of CPU threads; None: PyTorch's choice, or the CPUs that this process may use if they are fewer.
        progress: ``auto``: a bar on a terminal or in a notebook; ``off``: nothing is printed; or a listener.

    Returns:
        The run, as :func:`load_run` reads it, with the model of the checkpoint that was scored.

    Raises:
        UserError: the device, the data or the folder cannot be used as requested, or memory does not suffice.
        DivergedError: the loss or the validation bound is not finite; the last good checkpoint is kept.
        KeyboardInterrupt, Terminated: a signal came; what was trained is saved.

    Example:
        >>> import iafsweep
        >>> config = iafsweep.load_config("quick").with_values({
        ...     "model.latent_size": 2, "model.flow.depth": 0, "training.epochs": 1, "training.kl_warmup_epochs": 0,
        ...     "evaluation.bound_images": 10, "evaluation.importance_sampling.samples": 2,
        ...     "evaluation.importance_sampling.images": 10, "evaluation.hais.enabled": False,
        ... })
        >>> run = iafsweep.train(config, "runs/tiny", progress="off")
        >>> run.epoch, [each.method for each in run.evaluation.estimates if each.split == "test"]
        (1, ['negative_elbo', 'importance_sampling'])
    """
    run, root, news = RunFolder(Path(folder).expanduser()), absolute_data_root(data_root), run_news(progress)
    with (
        handing_on(),
        faults_in_words(run.path, lambda: news.going_on(run.path)),
        news.acknowledging(),
        computing(device, threads) as where,
    ):
        config, own = with_images(checked_config(config), images)
        both = load_training_images(config.data, root, own)
        if own is not None:
            news.note(told(config.data, own))
        refuse_unscorable(config)
        refuse_too_large(config, where)
        with run.held():
            _train(config, both, run, where, resume=resume, news=news)
            score_held(config, run, where, root, own, news)
    return load_run(run.path, device, images=images, data_root=data_root)


def _train(
    config: RunConfig, images: TrainingImages, folder: RunFolder, device: torch.device, *, resume: bool, news: RunNews
) -> None:
    doing = f"training with a batch of {config.training.batch_size:,} images on {device.type}"
    with memory_in_words(doing, REMEDY):
        trainer = (Trainer.resume if resume else Trainer.start)(config, images, folder, device)
        try:
            batches = batch_count(len(images.training), config.training.batch_size)
            with news.training(trainer, images, batches) as steps, between_steps() as check:
                _train_all(trainer, steps, check, news.going_on(folder.path.absolute()))
            news.trained(trainer)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error) and not resume and trainer.epochs_done == 0:
                trainer.close()
                folder.discard()
            raise
        finally:
            trainer.close()


def _train_all(trainer: Trainer, steps: StepNews, check: Callable[[], None], going_on: str) -> None:
    """Train all epochs; if ``check`` raises an interrupt between two steps, save what was trained."""

    def batch_done(images: int) -> None:
        steps.batch_done(images)
        check()

    try:
        while not trainer.is_done:
            steps.epoch_done(trainer.run_epoch(batch_done))
        trainer.finish()
    except (KeyboardInterrupt, Terminated) as interrupt:
        trainer.interrupt()
        interrupt.args = (f"all training so far is saved; to continue: {going_on}",)
        raise
