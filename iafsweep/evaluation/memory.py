"""The least memory that scoring needs, computed before anything is trained or scored.

All chains are in memory at once, each with its state and its share of generators. Importance samples are not: they are
drawn, weighted and released block by block, so that any number of them takes the same memory.
"""

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from iafsweep.config import RunConfig, Start
from iafsweep.errors import UserError
from iafsweep.estimators.noise import NOISE_BLOCK
from iafsweep.evaluation.shards import SHARD_IMAGES
from iafsweep.training.device import device_memory, is_out_of_memory, size_text

_GENERATOR_BYTES = 2500
"""Size of a CPU generator of PyTorch, 624 words of state; there is one per image and block of noise."""

_STATE_COPIES = 4
"""A chain's position, momentum, gradient and proposed position, in float32."""


def refuse_unscorable(config: RunConfig) -> None:
    """Refuse an evaluation whose chains do not fit into memory.

    Raises:
        UserError: they do not fit; the message names the key to lower.
    """
    processor = device_memory(torch.device("cpu"))
    for chains, needed in memory_of_chains(config):
        if processor is not None and needed > processor:
            raise UserError(
                f"evaluation.hais.chains = {chains:,} needs at least {size_text(needed)} of memory, but this machine "
                f"has {size_text(processor)}; lower it"
            )


def memory_of_chains(config: RunConfig) -> Iterator[tuple[int, int]]:
    """Yield chains per image and the least bytes that they take, for each annealed figure."""
    for start, images in _annealed(config):
        chains = config.evaluation.hais.resolved(start).chains
        state = 4 * _STATE_COPIES * config.model.latent_size * chains
        generators = math.ceil(chains / NOISE_BLOCK) * _GENERATOR_BYTES
        yield chains, min(SHARD_IMAGES, images) * (state + generators)


def _annealed(config: RunConfig) -> Iterator[tuple[Start, int]]:
    """Yield start and number of images of each annealed figure."""
    evaluation, hais = config.evaluation, config.evaluation.hais
    if hais.enabled:
        yield hais.start, config.data.facts.test_images if hais.images is None else hais.images
    for start in evaluation.sandwich_starts:
        yield start, evaluation.sandwich.images


Result = TypeVar("Result")


def halving_rows(work: Callable[[int], Result], rows: int, fewest: int) -> Result:
    """Return ``work(rows)``; whenever memory runs out, try again with half the rows per chunk, down to ``fewest``.

    Each attempt starts again with the same noise, and chunks change no figure beyond rounding, so the result is the
    same as with ample memory.

    Args:
        work: takes the number of rows (samples x images) to evaluate at a time.
        rows: number of rows to try first.
        fewest: rows of the smallest possible chunk, one sample of every image.

    Raises:
        MemoryError, RuntimeError: not even the smallest chunk fits (:func:`iafsweep.training.device.is_out_of_memory`).
    """
    while True:
        try:
            return work(rows)
        except (MemoryError, RuntimeError) as error:
            if rows <= fewest or not is_out_of_memory(error):
                raise
        # Outside of the handler, whose traceback keeps the tensors alive.
        rows = max(fewest, rows // 2)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
