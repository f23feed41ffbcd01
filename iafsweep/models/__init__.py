"""Models: variational autoencoders with flows in their posterior and prior.

- ``build``: builds and initialises a model from its configuration; ``vae``: the model and its densities.
- ``encoders``, ``decoders``, ``flows``, ``priors``, ``likelihoods`` (of pixels), ``heads`` (between decoder and
  likelihood): the families, each a folder with one file per member.
- ``made``, ``masks``, ``block_product``, ``context``: the masked network of flows and priors.
- ``splines``, ``roots``: increasing maps and their inverses; ``densities``: log densities.
- ``layers``, ``residual``, ``gated``: parts of networks; ``weight_norm``: weight normalisation.
- ``shapes``: sizes that follow from an image; ``precision``: contexts for full float32 and eval mode.
- ``folding``: prepares a trained model for scoring; ``inputs``: checks user input; ``passes``: a sampler's progress.

A new member needs a file in its family's folder, a section of the configuration, and an entry in the family's registry
(docs/extending.md).
"""

from iafsweep.models.build import build_model, count_parameters
from iafsweep.models.context import CONTEXT_ENTRIES
from iafsweep.models.densities import bernoulli_log_density, diagonal_normal_log_density, standard_normal_log_density
from iafsweep.models.folding import folded, refuse_unfit
from iafsweep.models.inputs import are_levels, checked_images, checked_whole
from iafsweep.models.vae import VAE, PosteriorParameters

__all__ = [
    "CONTEXT_ENTRIES",
    "VAE",
    "are_levels",
    "PosteriorParameters",
    "bernoulli_log_density",
    "build_model",
    "checked_images",
    "checked_whole",
    "diagonal_normal_log_density",
    "folded",
    "count_parameters",
    "refuse_unfit",
    "standard_normal_log_density",
]
