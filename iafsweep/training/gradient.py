"""What a step differentiates: which bound, and by which estimator of its gradient.

With log w = log p(x|z) + kl_weight * (log p(z) - log q(z|x)) for samples z_k, k = 1 ... K, of the posterior:

- *ELBO*: the mean of log w (Kingma and Welling 2014, arXiv:1312.6114);
- *IWAE*: log mean exp log w (Burda et al. 2016, arXiv:1509.00519);
- *path derivatives alone*: log q(z|x) is differentiated in z and not in the parameters. Of the ELBO that is "sticking
  the landing": the same mean, since what is left out has mean 0, and no variance where q is the posterior (Roeder et
  al. 2017, arXiv:1703.09194). Of IWAE the gradient at z_k takes its normalised weight once more, the doubly
  reparameterised gradient: the same mean again (Tucker et al. 2019, arXiv:1810.04152).
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
"""Bits and noise of a batch to the means of reconstruction and KL over it, nats per image."""


class Drawn(NamedTuple):
    """Samples of the posterior.

    Attributes:
        z: [..., B, D].
        log_posterior: log q(z|x), [..., B].
        score: d log q(z|x)/dz at fixed parameters, [..., B, D]; None where all derivatives are taken.
    """

    z: Tensor
    log_posterior: Tensor
    score: Tensor | None


class Loss(NamedTuple):
    """What a step makes small, and its parts, nats per image, without gradients.

    Attributes:
        loss: minus the bound at the KL weight of the step.
        reconstruction: mean of -log p(x|z) over samples and images.
        kl: mean of log q(z|x) - log p(z).
    """

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor


class Objective(NamedTuple):
    """Which bound is trained.

    Attributes:
        samples: K.
        weighted: IWAE; else the ELBO.
        path_alone: path derivatives alone.
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
    """Return what is trained in an epoch, 0 the first."""
    if epoch < config.objective_from_epoch:
        return PLAIN
    return _MEMBERS[config.objective]._replace(samples=config.objective_samples)


class Gradient(ABC):
    """The estimator of an objective's gradient."""

    @abstractmethod
    def backward(self, batch: Batch, kl_weight: float) -> Loss:
        """Add the gradient on a batch to that of the weights, and return the loss."""

    @abstractmethod
    def compiled(self, compiling: Compile) -> Gradient:
        """Return the same with its networks compiled; what the KL weight enters stays outside."""


def gradient_of(model: VAE, computing: Computing, objective: Objective, free_bits: float = 0.0) -> Gradient:
    """Return the gradient of an objective.

    Raises:
        ValueError: it takes path derivatives alone, and the flow does not push scores.
    """
    if objective == PLAIN:
        return _OneSample(mean_terms(model, computing), free_bits)
    if objective.path_alone and not model.flow.pushes_scores:
        raise ValueError(f"{type(model.flow).__name__} pushes no scores, so path derivatives alone cannot be taken")
    return _Samples(
        draw=_lowered(model, computing, lambda x, noise: _draw(model, x, noise, objective)),
        weigh=_lowered(model, computing, lambda x, drawn: _weigh(model, x, drawn)),
        objective=objective,
        free_bits=free_bits,
    )


def mean_terms(model: VAE, computing: Computing) -> Means:
    """Return bits and noise to the means of reconstruction and KL, of one sample an image.

    Networks compute in the precision of ``computing``, densities in float32: see :mod:`iafsweep.models.vae`.
    """
    terms = _lowered(model, computing, lambda x, noise: bound_terms(model, x, noise))

    def means(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        found = terms(x, noise)
        return found.reconstruction.mean(), found.kl.mean()

    return means


def _lowered(model: VAE, computing: Computing, function: Callable[..., Result]) -> Callable[..., Result]:
    """Let networks inside ``function`` compute in the precision asked for."""
    device_type, lowered = next(model.parameters()).device.type, computing.precision == "bfloat16"

    def computed(*arguments: Any) -> Result:  # noqa: ANN401 - those of the function
        with torch.autocast(device_type, torch.bfloat16, enabled=lowered):
            return function(*arguments)

    return computed


def _draw(model: VAE, x: Tensor, noise: Tensor, objective: Objective) -> Drawn:
    parameters = model.posterior(x)
    z, log_det = model.transform_noise(noise, parameters)
    score = model.posterior_score(noise, parameters) if objective.path_alone else None
    return Drawn(z, standard_normal_log_density(noise) - log_det, score)


def _weigh(model: VAE, x: Tensor, drawn: Drawn) -> tuple[Tensor, Tensor]:
    """Return reconstruction and KL of each sample, [..., B] each."""
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
    """In two parts, cut at the samples, where `dreg` weighs the gradient; a compiler wants to begin at leaves."""

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
                # With a KL weight b below 1 the share b of what is left out of log w takes the weight's square.
                again = 1 - kl_weight * (1 - log_weights.detach().softmax(0).unsqueeze(-1))
        loss.backward()
        assert z.grad is not None
        ends, gradients = [drawn.z], [z.grad * again]
        if log_posterior.grad is not None:  # no gradient goes there with path derivatives alone
            ends, gradients = [*ends, drawn.log_posterior], [*gradients, log_posterior.grad]
        torch.autograd.backward(ends, gradients)
        return Loss(loss.detach(), mean_reconstruction.detach(), mean_kl.detach())

    def compiled(self, compiling: Compile) -> Gradient:
        return replace(self, draw=compiling(self.draw), weigh=compiling(self.weigh))
