"""Whether figures in a folder are those of the weights beside them: training may have gone on since they were made."""

from __future__ import annotations

from typing import Literal

from iafsweep.records import Evaluation
from iafsweep.training import RunFolder
from iafsweep.training.model_folder import weights_of


def own_figures(folder: RunFolder, checkpoint: Literal["best", "last"], epoch: int) -> Evaluation | None:
    """Return the figures of a checkpoint: of the same name, epoch and, where they say it, digest of the file.

    A model folder has no checkpoint file any more; there the name and epoch decide.

    Args:
        folder: of a run, or a model folder.
        checkpoint: which checkpoint.
        epoch: the epoch that it holds.

    Returns:
        None if it was not scored, or the figures there are of other weights.

    Raises:
        RunFolderError: ``evaluation.json`` is damaged, or the checkpoint is missing.
    """
    if not folder.evaluation.exists():
        return None
    found = folder.read_evaluation()
    if (found.checkpoint, found.epoch) != (checkpoint, epoch):
        return None
    if found.checkpoint_digest is None or weights_of(folder).exists():
        return found
    return found if folder.checkpoint_digest(checkpoint)[:16] == found.checkpoint_digest else None
