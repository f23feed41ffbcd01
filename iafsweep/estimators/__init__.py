"""Estimators of log p(x) for any model with latent variables, from its log-densities alone.

``importance`` importance sampling · ``annealing`` annealed importance sampling · ``bidirectional`` lower and upper
bounds · ``bridge`` start and target densities · ``hmc`` one Hamiltonian move · ``schedules`` inverse temperatures ·
``step_size`` the pilot run · ``noise`` random numbers · ``log_weights``, ``pareto``, ``standard_errors`` estimates and
their diagnostics · ``stopping`` when the error is small enough.

These modules depend on no network, no configuration and no other part of iafsweep. Shapes: S samples, C chains, T
weight increments, B images, D latent; nats per image.
"""

from iafsweep.estimators.annealing import AnnealingRun, anneal, annealed_importance_sampling, gradient_evaluations
from iafsweep.estimators.bidirectional import Sandwich, reverse_annealing, sandwich
from iafsweep.estimators.bridge import Bridge
from iafsweep.estimators.importance import importance_sampling, log_weight_blocks
from iafsweep.estimators.log_weights import (
    LogWeightStatistics,
    LogWeightSummary,
    jackknife_standard_error,
    log_mean_exp,
)
from iafsweep.estimators.noise import NOISE_BLOCK, Generators, NoiseBlocks
from iafsweep.estimators.pareto import pareto_k
from iafsweep.estimators.schedules import linear_schedule, sigmoid_schedule
from iafsweep.estimators.standard_errors import (
    Mean,
    estimator_error,
    mean_over_images,
    paired_difference,
    untrusted_share,
)
from iafsweep.estimators.step_size import Pilot, PilotSettings, tune_step_size
from iafsweep.estimators.stopping import Progress, UntilError, search

__all__ = [
    "NOISE_BLOCK", "AnnealingRun", "Bridge", "Generators", "LogWeightStatistics", "LogWeightSummary", "Mean",
    "NoiseBlocks", "Pilot", "PilotSettings", "Progress", "Sandwich", "UntilError", "anneal",
    "annealed_importance_sampling", "estimator_error", "gradient_evaluations", "importance_sampling",
    "jackknife_standard_error", "linear_schedule", "log_mean_exp", "log_weight_blocks", "mean_over_images",
    "paired_difference", "pareto_k", "reverse_annealing", "sandwich", "search", "sigmoid_schedule", "tune_step_size",
    "untrusted_share",
]  # fmt: skip
