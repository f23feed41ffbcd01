"""iafsweep: sweep, train and honestly score variational autoencoders with inverse-autoregressive-flow posteriors.

The map, low floor to high; imports go down only:

``errors``, ``records``, ``seeds``, ``atomic``  what every floor uses
``config``       frozen typed configuration, TOML
``data``         images as uint8 tensors, fixed splits, binarisation
``models``       densities, cMADE, flows, encoders, decoders, the autoencoder
``training``     the trainer, checkpoints, run folders
``evaluation``   importance sampling, annealed importance sampling, diagnostics
``sweep``        search spaces, Ray Tune, the ledger, the rerun (the only folder that imports ray)
``leaderboard``  tables made from records alone
``report``       a sweep as one page to look at, and its figures
``cli``          the two command lines

Shape letters in docstrings: B batch, S importance samples, C chains, T temperatures, D latent variables, H hidden
units, X pixels. All bounds and likelihoods are in nats per image.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iafsweep import config, data, evaluation, models, training
    from iafsweep.config import RunConfig, load_config
    from iafsweep.evaluation.load import Run, load_run
    from iafsweep.models import build_model

__all__ = [
    "Run",
    "RunConfig",
    "build_model",
    "config",
    "data",
    "evaluation",
    "load_config",
    "load_run",
    "models",
    "training",
]

# Found when first asked for: PyTorch takes seconds to import, pydantic a third of one, and not every use needs them.
_LAZY = {
    "Run": "iafsweep.evaluation.load",
    "RunConfig": "iafsweep.config",
    "build_model": "iafsweep.models",
    "load_config": "iafsweep.config",
    "load_run": "iafsweep.evaluation.load",
}
_FLOORS = {"config", "data", "evaluation", "models", "training"}


def __getattr__(name: str) -> object:
    if name in _FLOORS:
        return importlib.import_module(f"iafsweep.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'iafsweep' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
