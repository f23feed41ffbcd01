"""Write a finished model to one folder that carries all it needs and nothing of the machine it was made on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import torch

from iafsweep.atomic import write_text
from iafsweep.config import RunConfig, dump_config
from iafsweep.errors import RunFolderError
from iafsweep.models import VAE, count_parameters
from iafsweep.records import EpochMetrics, Evaluation
from iafsweep.results.model_card import model_card
from iafsweep.results.model_folder import Origin, card_of, weights_of, write_weights
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.checkpoint import load_last


def export_model(
    to: Path,
    model: VAE,
    config: RunConfig,
    origin: Origin,
    metrics: tuple[EpochMetrics, ...],
    evaluation: Evaluation | None,
) -> Path:
    """Write a model folder; a process killed meanwhile leaves none.

    Args:
        to: the folder; new, or empty.
        model: in eval mode.
        config: its configuration.
        origin: where its weights come from.
        metrics: what its epochs gave.
        evaluation: its own figures (see `own_figures`); None if it was not scored.

    Returns:
        The folder, absolute.

    Raises:
        RunFolderError: there is something in the folder already, or it cannot be written.
    """
    to = Path(os.path.expanduser(to)).absolute()
    if not to.name:  # the root: nothing can be written beside it first
        raise RunFolderError(f"{to} is not empty; name a new folder for the model")
    part = RunFolder(to.with_name(f".{to.name}.{os.getpid()}.tmp"))
    try:
        if to.exists() and not to.is_dir():
            raise RunFolderError(f"{to} is a file; name a new folder for the model")
        if to.exists() and any(to.iterdir()):
            raise RunFolderError(f"{to} is not empty; name a new folder for the model")
        part.path.mkdir(parents=True)
        write_weights(weights_of(part), model, origin)
        write_text(part.config, dump_config(config.published))
        write_text(part.metrics, "".join(row.model_dump_json() + "\n" for row in metrics))
        if evaluation is not None:
            part.write_evaluation(evaluation)
        write_text(card_of(part), model_card(config, origin, evaluation, metrics, count_parameters(model)))
        part.path.replace(to)
    except OSError as error:
        raise RunFolderError(f"cannot write the model folder {to}: {error}; name another folder") from error
    finally:
        shutil.rmtree(part.path, ignore_errors=True)
    return to


def origin_of(folder: RunFolder, config: RunConfig, epoch: int) -> Origin:
    """Return where the weights of a run folder come from; what its ``last.pt`` would say is None where that is gone."""
    name, images = folder.path.absolute().name, folder.read_fingerprints()
    known = Origin(name=name, checkpoint=config.evaluation.checkpoint, epoch=epoch, images=images)
    try:
        last = load_last(folder, torch.device("meta"))  # reads no weights
    except RunFolderError:
        return known
    return known.model_copy(
        update={"torch_version": last.torch_version, "device": last.device, "seconds": last.seconds}
    )
