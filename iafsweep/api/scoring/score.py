"""Score a trained run: `score`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from iafsweep.api.news import RunNews
from iafsweep.api.own_images import Given, with_images
from iafsweep.config import RunConfig
from iafsweep.data import Images, load_test_images, load_training_images
from iafsweep.data.fingerprint import fingerprint, refuse_other_images, unknown_images
from iafsweep.errors import UserError
from iafsweep.evaluation.evaluate import evaluate, write_images
from iafsweep.evaluation.memory import refuse_unscorable
from iafsweep.evaluation.previous import read_earlier, with_earlier
from iafsweep.limits import usable_cpus
from iafsweep.models import count_parameters
from iafsweep.records import DeviceChoice, Evaluation, Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import device_name, load_trained_model, resolve_device
from iafsweep.training.checkpoint import checkpoint_digest
from iafsweep.training.comparison import refuse_training_changes
from iafsweep.training.device import is_out_of_memory
from iafsweep.training.run_log import add_test_figures


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
    """Score a trained run, perhaps with other `evaluation.*` settings, and return its figures.

    Args:
        config: the run's configuration, with the evaluation settings to use.
        folder: the run folder.
        data_root: folder of data sets.
        images: your own images that it was trained on, or their path; None: at the path in ``config``.
        device: device to score on.
        threads: number of CPU threads; None: PyTorch's choice, or the CPUs that this process may use if they are fewer.
        news: listener to the progress.

    Raises:
        UserError: the device, the data or the folder cannot be used as requested, memory does not suffice, or the
            configuration would train another model.
    """
    news = news or RunNews()
    with news.acknowledging(), computing(device, threads) as where:
        config, own = with_images(config, images)
        refuse_unscorable(config)
        refuse_training_changes(folder.read_config(), config, folder)
        with folder.held():
            folder.remove_leftovers()
            return score_held(config, folder, where, data_root, own, news)


@contextmanager
def computing(device: DeviceChoice, threads: int | None) -> Iterator[torch.device]:
    """Yield the device to compute on, and set PyTorch's number of threads until the end of the block."""
    if threads is not None and (not isinstance(threads, int) or isinstance(threads, bool) or threads < 1):
        raise UserError(f"threads must be a whole number of at least 1, got {threads!r}")
    before = torch.get_num_threads()
    if threads is None and (cpus := usable_cpus().amount) < before:
        threads = cpus
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield resolve_device(device)
    finally:
        if threads is not None:
            torch.set_num_threads(before)


@contextmanager
def memory_in_words(doing: str, remedy: str) -> Iterator[None]:
    """Turn a failed memory allocation into one message."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).partition("\n")[0] or repr(error)
        raise UserError(f"out of memory while {doing} ({said}); {remedy}") from error


def score_held(
    config: RunConfig, folder: RunFolder, device: torch.device, data_root: Path, own: Images | None, news: RunNews
) -> Evaluation:
    """Do as :func:`score` when this process already holds the run folder."""
    trained = load_trained_model(folder, config.evaluation.checkpoint, device)
    images, test = load_training_images(config.data, data_root, own), load_test_images(config.data, data_root, own)
    known, tested = folder.read_fingerprints(), fingerprint(test)
    refuse_other_images(folder.path, known, {**images.fingerprints, "test": tested})
    if not known:
        news.note(unknown_images(str(folder.path), config.data.source))
    images, test = images.to(device), test.to(device)
    remedy = "lower evaluation.hais.chains, evaluation.hais.temperatures or evaluation.importance_sampling.samples"
    with news.scoring() as progress, memory_in_words(f"scoring on {device.type}", remedy):
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
