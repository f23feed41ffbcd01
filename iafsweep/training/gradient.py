"""Training objectives and the estimators of their gradients.

With log w = log p(x|z) + kl_weight * (log p(z) - log q(z|x)) for samples z_k, k = 1 ... K, of the posterior:

- *ELBO*: the mean of log w (Kingma and Welling 2014, arXiv:1312.6114);
- *IWAE*: log mean exp log w (Burda et al. 2016, arXiv:1509.00519);
- *path derivatives alone*: log q(z|x) is differentiated with respect to z and not to the parameters. For the ELBO this
  is "sticking the landing": it has the same mean, since the omitted term has mean 0, and no variance where q is the
  posterior (Roeder et al. 2017, arXiv:1703.09194). For IWAE the gradient at z_k is multiplied by its normalised weight
  once more. This is the doubly reparameterised gradient, with the same mean (Tucker et al. 2019, arXiv:1810.04152).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar, final

import torch
from torch import Tensor

from iafsweep.config import TrainingConfig
from iafsweep.models import VAE
from iafsweep.models.densities import standard_normal_log_density
from iafsweep.training.batches import Batch
from iafsweep.training.computing import Computing
from iafsweep.training.objective import bound_terms

Result = TypeVar("Result")
Compile = Callable[[Callable[..., Any]], Callable[..., Any]]

Means = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Maps the images and noise of a batch to its mean reconstruction and KL terms, nats per image."""


class Drawn(NamedTuple):
    """Samples of the posterior.

    Attributes:
        z: [..., B, D].
        log_posterior: log q(z|x), [..., B].
        score: d log q(z|x)/dz at fixed parameters, [..., B, D]; None if all derivatives are taken.
    """

    z: Tensor
    log_posterior: Tensor
    score: Tensor | None


class Loss(NamedTuple):
    """The loss of a step and its terms, detached, in nats per image.

    Attributes:
        loss: negative bound at the KL weight of the step.
        reconstruction: mean of -log p(x|z) over samples and images.
        kl: mean of log q(z|x) - log p(z).
    """

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor


class Objective(NamedTuple):
    """A training objective.

    Attributes:
        samples: posterior samples per image, K.
        weighted: whether it is IWAE; else it is the ELBO.
        path_alone: whether only path derivatives are taken.
    """

    samples: int = 1
    weighted: bool = False
    path_alone: bool = False


PLAIN = Objective()
"""The ELBO with one sample."""

_MEMBERS = {
    "elbo": Objective(),
    "iwae": Objective(weighted=True),
    "dreg": Objective(weighted=True, path_alone=True),
    "stl": Objective(path_alone=True),
}


def objective_in(config: TrainingConfig, epoch: int) -> Objective:
    """Return the objective of an epoch, counted from 0."""
    if epoch < config.objective_from_epoch:
        return PLAIN
    return _MEMBERS[config.objective]._replace(samples=config.objective_samples)


class Gradient(ABC):
    """The estimator of an objective's gradient."""

    @abstractmethod
    def backward(self, batch: Batch, kl_weight: float) -> Loss:
        """Accumulate the gradient of a batch in the weights, and return the loss."""

    @abstractmethod
    def compiled(self, compiling: Compile) -> Gradient:
        """Return the same estimator with its networks compiled; terms with the KL weight stay outside."""


def gradient_of(model: VAE, computing: Computing, objective: Objective, free_bits: float = 0.0) -> Gradient:
    """Return the gradient estimator of an objective.

    Raises:
        ValueError: it takes path derivatives alone, but the flow cannot push scores.
    """
    if objective == PLAIN:
        return _OneSample(mean_terms(model, computing), free_bits)
    if objective.path_alone and not model.flow.pushes_scores:
        raise ValueError(
            f"{type(model.flow).__name__} cannot push scores, which training.objective = 'dreg' or 'stl' needs; "
            f"choose 'elbo' or 'iwae'"
        )
    return _Samples(
        draw=_lowered(model, computing, lambda x, noise: _draw(model, x, noise, objective)),
        weigh=_lowered(model, computing, lambda x, drawn: _weigh(model, x, drawn)),
        objective=objective,
        free_bits=free_bits,
    )


def mean_terms(model: VAE, computing: Computing) -> Means:
    """Return the function from images and noise to mean reconstruction and KL terms, with one sample per image.

    Networks compute in the precision of ``computing``, densities in float32: see :mod:`iafsweep.models.vae`.
    """
    terms = _lowered(model, computing, lambda x, noise: bound_terms(model, x, noise))

    def means(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        found = terms(x, noise)
        return found.reconstruction.mean(), found.kl.mean()

    return means


def _lowered(model: VAE, computing: Computing, function: Callable[..., Result]) -> Callable[..., Result]:
    """Wrap ``function`` so that its networks compute in the precision of ``computing``."""
    device_type, lowered = next(model.parameters()).device.type, computing.precision == "bfloat16"

    def computed(*arguments: Any) -> Result:  # noqa: ANN401 - arguments of the function
        with torch.autocast(device_type, torch.bfloat16, enabled=lowered):
            return function(*arguments)

    return computed


def _draw(model: VAE, x: Tensor, noise: Tensor, objective: Objective) -> Drawn:
    parameters = model.posterior(x)
    z, log_det = model.transform_noise(noise, parameters)
    score = model.posterior_score(noise, parameters) if objective.path_alone else None
    return Drawn(z, standard_normal_log_density(noise) - log_det, score)


def _weigh(model: VAE, x: Tensor, drawn: Drawn) -> tuple[Tensor, Tensor]:
    """Return the reconstruction and KL terms of each sample, each [..., B]."""
    z, log_posterior = drawn.z, drawn.log_posterior
    if drawn.score is not None:
        log_posterior = log_posterior.detach() + (drawn.score * (z - z.detach())).sum(-1)
    return -model.log_likelihood(x, z), log_posterior - model.log_prior(z)


def _at_least(kl: Tensor, free_bits: float) -> Tensor:
    return kl.clamp(min=free_bits) if free_bits else kl


@final
@dataclass(frozen=True)
class _OneSample(Gradient):
    means: Means
    free_bits: float

    def backward(self, batch: Batch, kl_weight: float) -> Loss:
        reconstruction, kl = self.means(batch.x, batch.noise)
        loss = reconstruction + kl_weight * _at_least(kl, self.free_bits)
        loss.backward()
        return Loss(loss.detach(), reconstruction.detach(), kl.detach())

    def compiled(self, compiling: Compile) -> Gradient:
        return replace(self, means=compiling(self.means))


@final
@dataclass(frozen=True)
class _Samples(Gradient):
    """In two parts, cut at the samples, where `dreg` weights the gradient; compiled graphs should begin at leaves."""

    draw: Callable[[Tensor, Tensor], Drawn]
    weigh: Callable[[Tensor, Drawn], tuple[Tensor, Tensor]]
    objective: Objective
    free_bits: float

    def backward(self, batch: Batch, kl_weight: float) -> Loss:
        drawn = self.draw(batch.x, batch.noise)
        z, log_posterior = (each.detach().requires_grad_() for each in (drawn.z, drawn.log_posterior))
        cut = Drawn(z, log_posterior, drawn.score)
        reconstruction, kl = self.weigh(batch.x, cut)
        mean_reconstruction, mean_kl = reconstruction.mean(), kl.mean()
        loss = mean_reconstruction + kl_weight * _at_least(mean_kl, self.free_bits)
        again: Tensor | float = 1.0
        if self.objective.weighted:
            log_weights = -(reconstruction + kl_weight * kl)
            loss = math.log(self.objective.samples) - log_weights.logsumexp(0).mean()
            if self.objective.path_alone:
                # The omitted term of log w has the KL weight b, so a share b of the gradient takes the squared weight.
                again = 1 - kl_weight * (1 - log_weights.detach().softmax(0).unsqueeze(-1))
        loss.backward()
        assert z.grad is not None
        ends, gradients = [drawn.z], [z.grad * again]
        if log_posterior.grad is not None:  # path derivatives alone leave it without a gradient
            ends, gradients = [*ends, drawn.log_posterior], [*gradients, log_posterior.grad]
        torch.autograd.backward(ends, gradients)
        return Loss(loss.detach(), mean_reconstruction.detach(), mean_kl.detach())

    def compiled(self, compiling: Compile) -> Gradient:
        return replace(self, draw=compiling(self.draw), weigh=compiling(self.weigh))
