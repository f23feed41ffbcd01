"""Training: knows torch, not Ray.

``trainer`` the loop, when there is no going on · ``schedules`` what changes from epoch to epoch · ``batches`` its
images · ``step`` one batch, ``gradient`` what it follows, ``optimiser`` how, ``averaging`` the average of its weights ·
``objective`` the bound, also that which chooses · ``computing`` how steps are computed, compiled or not ·
``checkpoint`` files to go on from · ``comparison`` what may change on resume · ``run_log``, ``pictures``,
``tracking`` what is left behind · ``trained`` models read back · ``device`` where to compute, and its memory.
"""

from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.device import device_name, resolve_device
from iafsweep.training.trained import TrainedModel, load_trained_model
from iafsweep.training.trainer import DivergedError, Trainer

__all__ = [
    "DivergedError",
    "RunFolder",
    "TrainedModel",
    "Trainer",
    "device_name",
    "load_trained_model",
    "resolve_device",
]
