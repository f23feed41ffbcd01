"""Training: knows torch, not Ray.

``trainer`` the loop · ``objective`` the bound · ``validation`` the bound that chooses · ``schedules`` learning rate and
KL weight · ``checkpoint`` files to go on from · ``kept`` the last whole epoch until it is written · ``divergence`` when
there is no going on · ``run_folder`` names and paths · ``metrics_file``, ``run_log``, ``pictures``, ``figures`` what is
left behind · ``comparison`` what may change on resume · ``trained`` models read back · ``device`` where to compute.
"""

from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training.device import device_name, resolve_device
from iafsweep.training.divergence import DivergedError
from iafsweep.training.trained import TrainedModel, load_trained_model
from iafsweep.training.trainer import Trainer

__all__ = [
    "DivergedError",
    "RunFolder",
    "TrainedModel",
    "Trainer",
    "device_name",
    "load_trained_model",
    "resolve_device",
]
