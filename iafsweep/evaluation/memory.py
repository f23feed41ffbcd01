"""Memory that scoring needs at least, reckoned before anything is trained or scored.

Chains go on side by side, each with its state and its share of generators. Samples of importance sampling do not: a
block of them is drawn, weighed and let go, so any number takes the same memory.
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
"""Of a PyTorch generator on the CPU: 624 words of state; there is one for each image and block of noise."""

_STATE_COPIES = 4
"""Position, momentum and gradient of a chain, float32, and the position proposed."""


def refuse_unscorable(config: RunConfig) -> None:
    """Refuse an evaluation whose chains cannot be held in memory.

    Raises:
        UserError: they cannot; the message names the key to lower.
    """
    processor = device_memory(torch.device("cpu"))
    for chains, needed in memory_of_chains(config):
        if processor is not None and needed > processor:
            raise UserError(
                f"evaluation.hais.chains = {chains:,} needs at least {size_text(needed)} of memory, and this machine "
                f"has {size_text(processor)}; lower it"
            )


def memory_of_chains(config: RunConfig) -> Iterator[tuple[int, int]]:
    """Yield the chains an image and the least bytes that they take, of each figure that anneals."""
    for start, images in _annealed(config):
        chains = config.evaluation.hais.resolved(start).chains
        state = 4 * _STATE_COPIES * config.model.latent_size * chains
        generators = math.ceil(chains / NOISE_BLOCK) * _GENERATOR_BYTES
        yield chains, min(SHARD_IMAGES, images) * (state + generators)


def _annealed(config: RunConfig) -> Iterator[tuple[Start, int]]:
    """Start and number of images of each figure that anneals."""
    evaluation, hais = config.evaluation, config.evaluation.hais
    if hais.enabled:
        yield hais.start, config.data.facts.test_images if hais.images is None else hais.images
    for start in evaluation.sandwich_starts:
        yield start, evaluation.sandwich.images


Result = TypeVar("Result")


def halving_rows(work: Callable[[int], Result], rows: int, fewest: int) -> Result:
    """Return ``work(rows)``; whenever it runs out of memory, with half the rows a chunk, down to ``fewest``.

    The work begins again with the same noise, and chunks change no figure beyond rounding: so the result is that of
    ample memory.

    Args:
        work: takes how many rows (samples x images) to evaluate at a time.
        rows: to try first.
        fewest: the smallest chunk there is: one sample of every image.

    Raises:
        MemoryError, RuntimeError: not even the smallest chunk fits (:func:`iafsweep.training.device.is_out_of_memory`).
    """
    while True:
        try:
            return work(rows)
        except (MemoryError, RuntimeError) as error:
            if rows <= fewest or not is_out_of_memory(error):
                raise
        # Out of the handler, whose traceback held the tensors that did not fit.
        rows = max(fewest, rows // 2)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
