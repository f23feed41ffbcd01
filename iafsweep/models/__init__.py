"""Models: variational autoencoders with flows in their posterior and prior.

``build`` from a configuration to a model and its starting weights · ``vae`` what a model can do · ``encoders``,
``decoders``, ``flows``, ``priors``, ``likelihoods`` of pixels, ``heads`` before them a family a folder, a member a
file · ``made``,
``masks``, ``block_product``, ``context`` the masked network inside a flow · ``splines``, ``roots`` increasing maps and
their inverses · ``densities`` · ``layers``, ``residual``, ``gated`` pieces of networks · ``weight_norm`` · ``shapes``
sizes from an image · ``precision`` full float32 and eval mode, for a while · ``folding`` a trained model made ready for
scoring · ``inputs`` what a user hands in, checked · ``passes`` how far a sampler is.

A new member: a file in its family's folder, its section of the configuration, a line in the family's registry
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
