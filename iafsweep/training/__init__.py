"""Training, with PyTorch and without Ray.

``trainer`` the training loop · ``schedules`` KL weight, learning rate, early stopping · ``batches`` the batches of an
epoch · ``step`` one training step, ``gradient`` its gradient estimator, ``optimiser`` its update, ``averaging`` the
average of the weights · ``objective`` the negative ELBO and the validation bound · ``computing`` precision and
compilation · ``checkpoint`` checkpoint files · ``comparison`` what may change on resume · ``run_log``, ``pictures``,
``tracking`` logs, images and trackers · ``trained`` reads models back · ``device`` devices and their memory.
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
