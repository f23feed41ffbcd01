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
``cli``          the two command lines

Shape letters in docstrings: B batch, S importance samples, C chains, T temperatures, D latent variables, H hidden
units, X pixels. All bounds and likelihoods are in nats per image.
"""

from iafsweep.config import RunConfig, load_config

__all__ = ["RunConfig", "load_config"]
