"""Estimators of log p(x) over log-densities, for any latent-variable model.

Shapes: S samples, C chains, T weight increments, B images, D latent; nats per image.
"""

from iafsweep.evaluation.annealing import AnnealingRun, anneal, annealed_importance_sampling, gradient_evaluations
from iafsweep.evaluation.bidirectional import Sandwich, reverse_annealing, sandwich
from iafsweep.evaluation.bridge import Bridge
from iafsweep.evaluation.diagnostics import (
    Mean,
    estimator_error,
    mean_over_images,
    paired_difference,
    untrusted_share,
)
from iafsweep.evaluation.importance import importance_sampling, log_weight_blocks
from iafsweep.evaluation.log_weights import (
    LogWeightStatistics,
    LogWeightSummary,
    jackknife_standard_error,
    log_mean_exp,
)
from iafsweep.evaluation.noise import NOISE_BLOCK, Generators, NoiseBlocks
from iafsweep.evaluation.pareto import pareto_k
from iafsweep.evaluation.pilot import Pilot, PilotSettings, tune_step_size
from iafsweep.evaluation.schedules import linear_schedule, sigmoid_schedule
from iafsweep.evaluation.until_error import Progress, UntilError, search

__all__ = [
    "NOISE_BLOCK",
    "AnnealingRun",
    "Bridge",
    "Generators",
    "LogWeightStatistics",
    "LogWeightSummary",
    "Mean",
    "NoiseBlocks",
    "Pilot",
    "PilotSettings",
    "Progress",
    "Sandwich",
    "UntilError",
    "anneal",
    "annealed_importance_sampling",
    "estimator_error",
    "gradient_evaluations",
    "importance_sampling",
    "jackknife_standard_error",
    "linear_schedule",
    "log_mean_exp",
    "log_weight_blocks",
    "mean_over_images",
    "paired_difference",
    "pareto_k",
    "reverse_annealing",
    "sandwich",
    "search",
    "sigmoid_schedule",
    "tune_step_size",
    "untrusted_share",
]
