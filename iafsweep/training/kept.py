"""The last whole epoch of a run: in memory until it is on disk."""

from __future__ import annotations

from typing import NamedTuple, final

from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import checkpoint as checkpoints
from iafsweep.training.checkpoint import BestWeights, Checkpoint


class _WholeEpoch(NamedTuple):
    """A checkpoint, and the best weights that belong to it where ``best.pt`` does not have them yet."""

    last: Checkpoint
    new_best: BestWeights | None


@final
class KeptEpoch:
    """The last whole epoch of a run, while it is not on disk.

    The checkpoint and its best weights are one object, replaced in one assignment: an interrupt finds the epoch before
    or the new one, never the checkpoint of one with the best weights of the other.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._unsaved: _WholeEpoch | None = None

    def replace(self, last: Checkpoint, new_best: BestWeights | None) -> None:
        """Keep an epoch in place of the one before.

        Args:
            last: what training goes on from; its tensors stay as they are until the epoch is written.
            new_best: the weights, if this epoch is the best so far; None: those that wait to be written still do.
        """
        if new_best is None and self._unsaved is not None:
            new_best = self._unsaved.new_best
        self._unsaved = _WholeEpoch(last, new_best)

    def write(self) -> Checkpoint | None:
        """Write the epoch and return its checkpoint; None, and nothing to do, if it is on disk already.

        Interrupted, or refused by a full disk, it is still to be written.
        """
        unsaved = self._unsaved
        if unsaved is None:
            return None
        checkpoints.save(self._folder, unsaved.last, unsaved.new_best)
        self._unsaved = None
        return unsaved.last
