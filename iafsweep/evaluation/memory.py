"""Memory that scoring needs at least, reckoned before anything is trained or scored."""

from __future__ import annotations

import math

import torch

from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.errors import UserError
from iafsweep.evaluation.noise import NOISE_BLOCK
from iafsweep.evaluation.shards import SHARD_IMAGES
from iafsweep.training.memory import device_memory, size_text

_GENERATOR_BYTES = 2500
"""Of a PyTorch generator on the CPU: 624 words of state; there is one for each image and block of noise."""
_STATE_COPIES = 4
"""Position, momentum and gradient of a chain, float32, and the position proposed."""


def refuse_unscorable(config: RunConfig) -> None:
    """Refuse an evaluation whose samples or chains cannot be held in memory.

    Raises:
        UserError: they cannot; the message names the figure and the key to lower.
    """
    processor = device_memory(torch.device("cpu"))
    for key, count, needed in scoring_memory(config):
        if processor is not None and needed > processor:
            raise UserError(
                f"{key} = {count:,} needs at least {size_text(needed)} of memory, and this machine has "
                f"{size_text(processor)}; lower it"
            )


def scoring_memory(config: RunConfig) -> list[tuple[str, int, int]]:
    """Return key, value and least bytes of each setting whose memory grows with it."""
    evaluation = config.evaluation
    hais, sampling = evaluation.hais, evaluation.importance_sampling
    images = _shard_images(sampling.images, config)
    found = [("evaluation.importance_sampling.samples", sampling.samples, _noise_bytes(sampling.samples, images))]
    if hais.enabled or evaluation.sandwich.enabled:
        images = _shard_images(_annealed_images(evaluation), config)
        chains = hais.resolved_chains
        state = 4 * _STATE_COPIES * config.model.latent_size * chains * images
        found.append(("evaluation.hais.chains", chains, state + _noise_bytes(chains, images)))
    return found


def _annealed_images(evaluation: EvaluationConfig) -> int | None:
    return evaluation.hais.images if evaluation.hais.enabled else evaluation.sandwich.images


def _shard_images(asked: int | None, config: RunConfig) -> int:
    return min(SHARD_IMAGES, config.data.facts.test_images if asked is None else asked)


def _noise_bytes(samples: int, images: int) -> int:
    return math.ceil(samples / NOISE_BLOCK) * images * _GENERATOR_BYTES
