"""iafsweep: sweep, train and honestly score variational autoencoders with inverse-autoregressive-flow posteriors.

The layers from the lowest to the highest; each imports only from lower ones:

``errors``, ``records``, ``seeds``, ``atomic``, ``locks``, ``signals``, ``importing``  used by every layer
``estimators``   log p(x) from log-densities: (annealed) importance sampling; imports nothing else of this package
``config``       frozen typed configuration, TOML
``run_files``    the files of a run folder, without PyTorch
``search_space`` the parameters that a sweep searches
``data``         images as uint8 tensors, fixed splits, binarisation
``models``       densities, cMADE, flows, encoders, decoders, the autoencoder
``training``     the trainer, checkpoints, trackers
``evaluation``   scoring of a trained model
``sweep``        many trials: Ray Tune, the ledger, rescoring
``rehearsal``    sweeps simulated on recorded learning curves
``results``      results of a sweep or a run, read from its files
``leaderboard``  tables made from records alone
``report``       a sweep as one HTML page, and its charts
``api``          the Python interface
``tune``         a trainable for your own Ray Tune script; you import it by name
``cli``          the two command lines

Shape letters in docstrings: B batch, S importance samples, C chains, T temperatures, D latent variables, H hidden
units, X pixels. All bounds and likelihoods are in nats per image.

``train`` and ``launch`` are described in docs/python.md. Their results can be read on any machine.

Example:
    >>> import iafsweep
    >>> run = iafsweep.load_run("runs/best")  # a run of run_single.py, a trial of a sweep, or an exported model
    >>> run.model.sample(64).shape  # pixel probabilities of new images
    torch.Size([64, 1, 28, 28])
    >>> x = run.images("test", 10)  # binarised test images, the same bits as in scoring
    >>> run.model.reconstruct(x).shape
    torch.Size([10, 1, 28, 28])
    >>> run.log_likelihood(x, samples=50).shape  # nats per image
    torch.Size([10])
    >>> sweep = iafsweep.load_sweep("runs/quick-1")
    >>> list(sweep.leaderboard.columns[:3])
    ['rank', 'trial', 'status']
    >>> folder = sweep.best().export("models/best")  # load_run reads it on any machine
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iafsweep import config, data, estimators, evaluation, models, training
    from iafsweep.api.rehearse import rehearse
    from iafsweep.api.run import Run, load_run
    from iafsweep.api.several import combined_leaderboard, compare_sweeps, load_sweeps
    from iafsweep.api.spaces import SearchSpace, choice, floats, integers, load_config
    from iafsweep.api.sweep import LoadedSweep, launch, load_sweep
    from iafsweep.api.train import train
    from iafsweep.config import RunConfig, load_plugin
    from iafsweep.data import Images
    from iafsweep.errors import UserError
    from iafsweep.models import VAE, build_model
    from iafsweep.sweep.tune.options import LaunchOptions

__all__ = [
    "VAE", "Images", "LaunchOptions", "LoadedSweep", "Run", "RunConfig", "SearchSpace", "UserError", "build_model",
    "choice", "combined_leaderboard", "compare_sweeps", "config", "data", "estimators", "evaluation", "floats",
    "integers", "launch", "load_config", "load_plugin", "load_run", "load_sweep", "load_sweeps", "models", "rehearse",
    "train", "training",
]  # fmt: skip

# Imported on first use: PyTorch and pandas take seconds to import, pydantic a third of one, and few uses need all.
_LAZY = {
    "Images": "iafsweep.data",
    "LaunchOptions": "iafsweep.sweep.tune.options",
    "LoadedSweep": "iafsweep.api.sweep",
    "Run": "iafsweep.api.run",
    "RunConfig": "iafsweep.config",
    "SearchSpace": "iafsweep.api.spaces",
    "UserError": "iafsweep.errors",
    "VAE": "iafsweep.models",
    "build_model": "iafsweep.models",
    "choice": "iafsweep.api.spaces",
    "combined_leaderboard": "iafsweep.api.several",
    "compare_sweeps": "iafsweep.api.several",
    "floats": "iafsweep.api.spaces",
    "integers": "iafsweep.api.spaces",
    "launch": "iafsweep.api.sweep",
    "load_config": "iafsweep.api.spaces",
    "load_plugin": "iafsweep.config",
    "load_run": "iafsweep.api.run",
    "load_sweep": "iafsweep.api.sweep",
    "load_sweeps": "iafsweep.api.several",
    "rehearse": "iafsweep.api.rehearse",
    "train": "iafsweep.api.train",
}
_FLOORS = {"config", "data", "estimators", "evaluation", "models", "training"}


def __getattr__(name: str) -> object:
    if name in _FLOORS:
        return importlib.import_module(f"iafsweep.{name}")
    if name in _LAZY:
        importlib.import_module("iafsweep.config.plugins").load_installed()
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'iafsweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
