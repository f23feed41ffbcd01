"""Evaluation: estimators of log p(x) for any latent-variable model, and the scoring of our own with them.

Estimators, which know log-densities and no network: ``importance`` sampling · ``annealing`` · ``bidirectional`` both
bounds · ``bridge`` what they start from and aim at · ``hmc`` one move · ``schedules`` of temperatures · ``pilot`` the
step size · ``noise`` random numbers · ``log_weights``, ``pareto``, ``diagnostics`` from weights to figures and what
they are worth · ``until_error`` when to stop.

A model's figures: ``vae_bridges`` its log-densities · ``scoring`` a shard of images, ``simulated`` images drawn from
the model · ``arithmetic`` chunks that fit the memory · ``memory`` what it takes · ``shards`` what is scored at once,
``parts`` its samples added up · ``tasks`` work with a name, ``jobs`` a figure as rounds of tasks · ``figures``,
``report`` all figures of a run · ``earlier`` those of before · ``comparison`` of two models.

A trained model in use: ``load`` read back · ``own_figures`` whether figures are its own · ``export``, ``model_card`` as
a folder to keep.

The names below are those of the estimators; import the rest from the module itself. Shapes: S samples, C chains, T
weight increments, B images, D latent; nats per image.
"""

from __future__ import annotations

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
