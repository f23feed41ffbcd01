"""Models whose log p(x) is known exactly, with bridges to them. All in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from iafsweep.estimators.bridge import Bridge
from iafsweep.estimators.noise import draw_normal


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*size: int, seed: int) -> Tensor:
    return torch.randn(*size, generator=seeded(seed), dtype=torch.float64)


@dataclass(frozen=True)
class LinearGaussian:
    """z ~ N(0, I_D), x | z ~ N(W z + b, s^2 I_X): evidence and posterior in closed form.

    `z` is the latent that each image of `x` was simulated with, an exact posterior sample.
    """

    weight: Tensor  # [X, D]
    bias: Tensor  # [X]
    noise_std: float
    z: Tensor  # [B, D]
    x: Tensor  # [B, X]

    @classmethod
    def simulate(cls, images: int, latent: int = 3, pixels: int = 4, noise_std: float = 0.7, seed: int = 0):
        weight = normal(pixels, latent, seed=seed)
        bias = normal(pixels, seed=seed + 1)
        z = normal(images, latent, seed=seed + 2)
        x = z @ weight.T + bias + noise_std * normal(images, pixels, seed=seed + 3)
        return cls(weight, bias, noise_std, z, x)

    @property
    def log_evidence(self) -> Tensor:
        """Exact log p(x), [B]."""
        covariance = self.weight @ self.weight.T + self.noise_std**2 * torch.eye(len(self.bias), dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.bias, covariance).log_prob(self.x)

    @property
    def posterior_covariance(self) -> Tensor:
        """[D, D], the same for every image."""
        precision = (
            torch.eye(self.weight.shape[1], dtype=torch.float64) + self.weight.T @ self.weight / self.noise_std**2
        )
        return precision.inverse()

    @property
    def posterior_mean(self) -> Tensor:
        """[B, D]."""
        return (self.x - self.bias) @ self.weight @ self.posterior_covariance / self.noise_std**2

    def log_joint(self, z: Tensor) -> Tensor:
        """Log p(x, z) of z [S, B, D], [S, B]."""
        residual = (self.x - self.bias - z @ self.weight.T) / self.noise_std
        constants = math.log(2 * math.pi) * (z.shape[-1] + self.x.shape[-1]) / 2 + self.x.shape[-1] * math.log(
            self.noise_std
        )
        return -0.5 * (z.square().sum(-1) + residual.square().sum(-1)) - constants

    def prior_bridge(self) -> Bridge:
        zeros = torch.zeros_like(self.z)
        return Bridge.from_gaussian(zeros, zeros, self.log_joint)

    def base_bridge(self) -> Bridge:
        """From a diagonal Gaussian that is shifted and 10 % too wide."""
        log_std = (1.1 * self.posterior_covariance.diagonal().sqrt()).log()
        return Bridge.from_gaussian(self.posterior_mean + 0.1, log_std.expand_as(self.z), self.log_joint)

    def flow(self, seed: int = 7) -> ImperfectFlow:
        """A crooked IAF around the posterior."""
        log_std = self.posterior_covariance.diagonal().sqrt().log()
        return ImperfectFlow.around(self.posterior_mean, log_std, seed=seed)

    def flow_bridge(self) -> Bridge:
        """From N(0, I) in the noise of that flow, which is never inverted."""
        flow = self.flow()

        def log_target(noise: Tensor) -> Tensor:
            z, log_det = flow(noise)
            return self.log_joint(z) + log_det

        zeros = torch.zeros_like(self.z)
        return Bridge.from_gaussian(zeros, zeros, log_target)

    def exact_posterior_bridge(self) -> Bridge:
        """From the exact posterior, with its correlations."""
        posterior = torch.distributions.MultivariateNormal(self.posterior_mean, self.posterior_covariance)
        factor = posterior.scale_tril

        def draw_start(count, generator):
            size = (count, *self.z.shape)
            noise = draw_normal(size, generator, dtype=torch.float64, device=torch.device("cpu"))
            return self.posterior_mean + torch.einsum("bij,sbj->sbi", factor, noise)

        return Bridge.between(draw_start, posterior.log_prob, self.log_joint)


@dataclass(frozen=True)
class ImperfectFlow:
    """z = mean + std * (gate * u + shift) with gate and shift of u_d functions of u_1 ... u_{d-1} alone."""

    mean: Tensor  # [B, D]
    log_std: Tensor  # [D]
    gate_weight: Tensor  # [D, D], strictly lower triangular
    shift_weight: Tensor  # [D, D], strictly lower triangular

    @classmethod
    def around(cls, mean: Tensor, log_std: Tensor, seed: int) -> ImperfectFlow:
        latent = mean.shape[-1]
        gate, shift = (0.4 * normal(latent, latent, seed=seed + offset).tril(-1) for offset in (0, 1))
        return cls(mean, log_std, gate, shift)

    def __call__(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Noise [S, B, D] to (z [S, B, D], log|det dz/dnoise| [S, B])."""
        log_gate = (noise @ self.gate_weight.T).tanh()
        z = self.mean + self.log_std.exp() * (log_gate.exp() * noise + noise @ self.shift_weight.T)
        return z, log_gate.sum(-1) + self.log_std.sum()

    def inverse(self, z: Tensor) -> Tensor:
        """The noise of z [..., D], found in D passes."""
        whitened = (z - self.mean) / self.log_std.exp()
        noise = torch.zeros_like(whitened)
        for _ in range(z.shape[-1]):
            log_gate = (noise @ self.gate_weight.T).tanh()
            noise = (whitened - noise @ self.shift_weight.T) * (-log_gate).exp()
        return noise


@dataclass(frozen=True)
class UnequalMixture:
    """An asymmetric target: exp(log_evidence) times D independent mixtures 0.7 N(-0.5, 0.6^2) + 0.3 N(1.2, 1.2^2)."""

    log_evidence: Tensor  # [B]
    latent: int = 2

    LOG_SHARES = torch.tensor([0.7, 0.3], dtype=torch.float64).log()
    MEANS = torch.tensor([-0.5, 1.2], dtype=torch.float64)
    STDS = torch.tensor([0.6, 1.2], dtype=torch.float64)

    def log_target(self, z: Tensor) -> Tensor:
        standardised = (z.unsqueeze(-1) - self.MEANS) / self.STDS
        terms = self.LOG_SHARES - self.STDS.log() - 0.5 * math.log(2 * math.pi) - 0.5 * standardised.square()
        return terms.logsumexp(-1).sum(-1) + self.log_evidence

    def bridge(self) -> Bridge:
        """From a Gaussian in the wrong place."""
        mean = torch.full((len(self.log_evidence), self.latent), 0.3, dtype=torch.float64)
        return Bridge.from_gaussian(mean, torch.full_like(mean, math.log(1.3)), self.log_target)

    def posterior_samples(self, count: int, generator: torch.Generator) -> Tensor:
        size = (count, len(self.log_evidence), self.latent)
        component = (torch.rand(size, generator=generator, dtype=torch.float64) > 0.7).long()
        noise = torch.randn(size, generator=generator, dtype=torch.float64)
        return self.MEANS[component] + self.STDS[component] * noise


@dataclass(frozen=True)
class LogGamma:
    """A skewed target: exp(a z - e^z) for each of D dimensions, the density of log Gamma(a) times Gamma(a).

    Its right tail falls as exp(-e^z): gradients grow without bound.
    """

    shape: Tensor  # [B]
    latent: int = 2

    @property
    def log_evidence(self) -> Tensor:
        return self.latent * torch.lgamma(self.shape)

    def log_target(self, z: Tensor) -> Tensor:
        return self.shape * z.sum(-1) - z.exp().sum(-1)

    def bridge(self) -> Bridge:
        """From N(digamma(a), 1.5 trigamma(a))."""
        size = (len(self.shape), self.latent)
        mean = torch.digamma(self.shape).unsqueeze(-1).expand(size)
        log_std = 0.5 * (1.5 * torch.polygamma(1, self.shape)).log().unsqueeze(-1).expand(size)
        return Bridge.from_gaussian(mean, log_std, self.log_target)
