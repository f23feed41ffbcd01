"""Whether a run may go on with another configuration than it began with."""

from __future__ import annotations

from iafsweep.config import RunConfig, field_paths, get_path
from iafsweep.errors import RunFolderError
from iafsweep.training.run_folder import RunFolder

# What changes neither the epochs already trained nor the way they would be trained again.
_FREE = ("title", "training.epochs", "evaluation.")


def refuse_other_training(trained: RunConfig, asked: RunConfig, folder: RunFolder) -> None:
    """Check that ``asked`` differs from ``trained`` at most in title, evaluation and number of epochs.

    Raises:
        RunFolderError: it differs elsewhere; the message names each field and both values.
    """
    differences = [
        f"{path} = {get_path(asked, path)!r} (trained with {get_path(trained, path)!r})"
        for path in field_paths(RunConfig)
        if not path.startswith(_FREE) and get_path(asked, path) != get_path(trained, path)
    ]
    if differences:
        raise RunFolderError(
            f"{folder.path} was trained with another configuration: {'; '.join(differences)}. "
            f"Only the number of epochs and [evaluation] may change on resume; take a new folder for another training"
        )
