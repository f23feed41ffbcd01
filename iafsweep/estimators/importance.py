"""Importance sampling: log p(x) from independent samples of the start of a bridge.

log p(x) >= L_S = E log (1/S) sum_s w_s with w_s = pi_1(z_s) / pi_0(z_s), z_s ~ pi_0; L_1 is the ELBO, and L_S rises to
log p(x) with S (Burda et al., Importance weighted autoencoders, 2016, arXiv:1509.00519, eq. 8).

Shapes: S samples, B images, D latent; nats per image.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from iafsweep.estimators.bridge import Bridge, split_rows
from iafsweep.estimators.log_weights import LogWeightStatistics
from iafsweep.estimators.noise import NOISE_BLOCK, Generators, close_block


def importance_sampling(
    bridge: Bridge, samples: int, generator: Generators, *, rows_per_chunk: int | None = None
) -> LogWeightStatistics:
    """Importance sampling with the start of a bridge as the proposal.

    Args:
        bridge: proposal (start) and unnormalised target.
        samples: samples an image, S.
        generator: one for the batch, or one an image.
        rows_per_chunk: evaluate at most so many rows (samples x images) at a time; None for a block of `NOISE_BLOCK`
            samples. Memory only: the noise does not depend on it.

    Returns:
        Mergeable statistics of the S log-weights of each image; `.summary()` has the estimates.

    Raises:
        ValueError: `samples` or `rows_per_chunk` is below 1.
    """
    blocks = log_weight_blocks(bridge, samples, generator, rows_per_chunk=rows_per_chunk)
    statistics = LogWeightStatistics.of(next(blocks))
    for block in blocks:
        statistics = statistics.merge(LogWeightStatistics.of(block))
    return statistics


def log_weight_blocks(
    bridge: Bridge, samples: int, generator: Generators, *, rows_per_chunk: int | None = None
) -> Iterator[Tensor]:
    """The log-weights themselves, block by block: [`NOISE_BLOCK`, B] float64, the last one shorter.

    Arguments and errors as in `importance_sampling`.
    """
    if samples < 1:
        raise ValueError(f"the number of samples must be at least 1: got {samples}.")
    for block, first in enumerate(range(0, samples, NOISE_BLOCK)):
        # A whole block is drawn even where less is used: the first samples of a longer run are these.
        position = bridge.draw_block(generator, block)[: samples - first]
        close_block(generator, block)  # nothing moves from here on: a million samples hold the generators of fifty
        with torch.no_grad():
            pieces = [_log_weights(bridge, piece) for piece in split_rows(position, rows_per_chunk)]
        yield torch.cat(pieces)


def _log_weights(bridge: Bridge, position: Tensor) -> Tensor:
    log_start, log_target = bridge.log_densities(position)
    return log_target.double() - log_start.double()
