"""Bridges from a density that can be sampled to an unnormalised target whose normaliser is wanted.

A bridge is all that the estimators see of a model. Shapes: S samples or chains, B images, D latent; nats.

For an image x there are three bridges, with start pi_0 and target pi_1, to estimate log p(x):

* *prior*: pi_0 = p(z), pi_1 = p(x, z);
* *base*: pi_0 = a Gaussian approximation of p(z|x), pi_1 = p(x, z);
* *flow*: in the noise e of a flow z = f(e; x), pi_0 = N(0, I), pi_1 = p(x, f(e; x)) |det df/de|.

The last one starts from the flow posterior and never inverts the flow: p(x) is the same integral, written in e.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from iafsweep.estimators.noise import NOISE_BLOCK, Generators, draw_normal, generators_of_block

LogDensity = Callable[[Tensor], Tensor]
"""Maps positions [S, B, D] to log-densities [S, B], each row independently; differentiable in the position."""

LogDensities = Callable[[Tensor], tuple[Tensor, ...]]
"""Maps positions [S, B, D] to several log-densities, each [S, B], evaluated together."""

DrawStart = Callable[[int, Generators], Tensor]
"""Maps a number of samples S and a generator to exact, independent samples [S, B, D] of the start density."""


@dataclass(frozen=True)
class Bridge:
    """Start and target densities for estimates of log p(x) of B images at once.

    Attributes:
        draw_start: draws from the start density.
        log_densities: maps positions to (log pi_0, log pi_1), each [S, B]. pi_0 is normalised; the integral of pi_1
            is p(x). Network parameters inside need no gradient; disabling theirs saves memory.
    """

    draw_start: DrawStart
    log_densities: LogDensities

    @classmethod
    def between(cls, draw_start: DrawStart, log_start: LogDensity, log_target: LogDensity) -> Bridge:
        """The bridge between two separate log-densities."""
        return cls(draw_start, lambda position: (log_start(position), log_target(position)))

    @classmethod
    def from_gaussian(cls, mean: Tensor, log_std: Tensor, log_target: LogDensity) -> Bridge:
        """The bridge from N(mean, diag exp(log_std)^2); zeros for the standard normal.

        Args:
            mean: [B, D]; positions have its dtype and device.
            log_std: [B, D].
            log_target: log pi_1.

        Raises:
            ValueError: `mean` is not [B, D] or `log_std` has another shape.
        """
        if mean.dim() != 2 or mean.shape != log_std.shape:
            raise ValueError(
                f"mean and log_std must both be [B, D]: got {tuple(mean.shape)} and {tuple(log_std.shape)}."
            )
        std = log_std.exp()
        log_constant = -log_std.sum(-1) - 0.5 * math.log(2 * math.pi) * mean.shape[-1]

        def draw_start(count: int, generator: Generators) -> Tensor:
            images, latent = mean.shape
            return mean + std * draw_normal((count, images, latent), generator, dtype=mean.dtype, device=mean.device)

        def log_start(position: Tensor) -> Tensor:
            return log_constant - 0.5 * ((position - mean) / std).square().sum(-1)

        return cls.between(draw_start, log_start, log_target)

    def draw_block(self, generator: Generators, block: int) -> Tensor:
        """The `block`-th block of start samples [`NOISE_BLOCK`, B, D]; blocks must be drawn in order."""
        return self.draw_start(NOISE_BLOCK, generators_of_block(generator, block))

    def draw(self, count: int, generator: Generators) -> Tensor:
        """Start samples [count, B, D], drawn in whole blocks: a smaller count gives the first samples of a larger one.

        Raises:
            ValueError: `count` is below 1.
        """
        if count < 1:
            raise ValueError(f"the number of samples must be at least 1: got {count}.")
        blocks = [self.draw_block(generator, block) for block in range(math.ceil(count / NOISE_BLOCK))]
        return torch.cat(blocks)[:count]


def split_rows(position: Tensor, rows_per_chunk: int | None) -> tuple[Tensor, ...]:
    """Split positions [S, B, D] into pieces [s, B, D] of at most `rows_per_chunk` rows (s x B), at least one sample.

    Affects memory only: each row is evaluated independently, so the split changes no figure beyond rounding.

    Args:
        position: [S, B, D].
        rows_per_chunk: rows per piece; None for a single piece.

    Raises:
        ValueError: `position` is not [S, B, D] or `rows_per_chunk` is below 1.
    """
    if position.dim() != 3:
        raise ValueError(f"positions must be [S, B, D]: got {tuple(position.shape)}.")
    if rows_per_chunk is None:
        return (position,)
    if rows_per_chunk < 1:
        raise ValueError(f"rows_per_chunk must be at least 1: got {rows_per_chunk}.")
    pieces: tuple[Tensor, ...] = position.split(max(1, rows_per_chunk // position.shape[1]))
    return pieces
