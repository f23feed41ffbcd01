"""Importance sampling: log p(x) from independent samples of the start of a bridge.

log p(x) >= L_S = E log (1/S) sum_s w_s with w_s = pi_1(z_s) / pi_0(z_s), z_s ~ pi_0; L_1 is the ELBO, and L_S increases
to log p(x) with S (Burda et al., Importance weighted autoencoders, 2016, arXiv:1509.00519, eq. 8).

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
    """Estimate log p(x) by importance sampling with the start of a bridge as the proposal.

    Args:
        bridge: proposal (start) and unnormalised target.
        samples: samples per image, S.
        generator: one for the batch, or one per image.
        rows_per_chunk: most rows (samples x images) to evaluate at a time; None for a block of `NOISE_BLOCK` samples.
            Affects memory only: the noise does not depend on it.

    Returns:
        Mergeable statistics of the S log-weights of each image; `.summary()` returns the estimates.

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
    """Yield the log-weights block by block: [`NOISE_BLOCK`, B] float64, the last block possibly shorter.

    Arguments and errors are those of `importance_sampling`.
    """
    if samples < 1:
        raise ValueError(f"the number of samples must be at least 1: got {samples}.")
    for block, first in enumerate(range(0, samples, NOISE_BLOCK)):
        # A whole block is drawn even if only part of it is used, so that a longer run begins with the same samples.
        position = bridge.draw_block(generator, block)[: samples - first]
        close_block(generator, block)  # no moves follow, so a million samples hold the generators of fifty
        with torch.no_grad():
            pieces = [_log_weights(bridge, piece) for piece in split_rows(position, rows_per_chunk)]
        yield torch.cat(pieces)


def _log_weights(bridge: Bridge, position: Tensor) -> Tensor:
    log_start, log_target = bridge.log_densities(position)
    return log_target.double() - log_start.double()
