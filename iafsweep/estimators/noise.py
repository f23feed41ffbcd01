"""Random numbers for the estimators, drawn so that neither batching nor chunking changes them.

Shapes: S samples or chains, B images, D latent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NOISE_BLOCK = 50
"""Number of start samples drawn at a time, regardless of how many are requested and how they are evaluated.

`torch.randn` gives different numbers for one call of 100 than for two calls of 50. With fixed blocks, a long run begins
with the samples of a short one, and an annealed run without moves is importance sampling, draw for draw.
"""


@dataclass(frozen=True)
class NoiseBlocks:
    """Generators that are a pure function of image and block: samples 50 k to 50 k + 49 come from those of block k.

    A block always draws all of its `NOISE_BLOCK` rows, even if only some are used. A long run therefore begins with the
    samples or chains of a short one, and a run can be continued at any block, in any process.

    Attributes:
        of_block: maps a block number, from 0, to B generators, one per image, newly seeded at each call.
        first: number of the first block.
    """

    of_block: Callable[[int], Sequence[torch.Generator]]
    first: int = 0

    def open(self) -> OpenBlocks:
        """Return generators to draw from; each block is seeded once and then keeps its state."""
        return OpenBlocks(self)


class OpenBlocks:
    """The state of `NoiseBlocks` being drawn from: a generator of 2.5 kB for each image and open block."""

    def __init__(self, blocks: NoiseBlocks) -> None:
        self._blocks = blocks
        self._opened: list[Sequence[torch.Generator] | None] = []

    def __getitem__(self, block: int) -> Sequence[torch.Generator]:
        """Return the generators of a block, counted from `first`, one per image.

        Raises:
            ValueError: the block was closed.
        """
        while len(self._opened) <= block:
            self._opened.append(self._blocks.of_block(self._blocks.first + len(self._opened)))
        opened = self._opened[block]
        if opened is None:
            raise ValueError(f"block {block} of the noise is already drawn and closed: call NoiseBlocks.open() again")
        return opened

    def close(self, block: int) -> None:
        """Release a block's generators. The block cannot be drawn from again, as its numbers would repeat."""
        self._opened[block] = None


Generators = torch.Generator | Sequence[torch.Generator] | OpenBlocks
"""One generator for a whole batch; or one per image, so that an image's numbers do not depend on the rest of the batch;
or `NoiseBlocks.open()`, so that they do not depend on the number of samples or chains either.

Noise is drawn on the generator's own device and then moved, so a CPU generator gives the same numbers whatever device
the network runs on.
"""


def generators_of_block(generator: Generators, block: int) -> Generators:
    """Return the generators that draw the `block`-th block of start samples."""
    return generator[block] if isinstance(generator, OpenBlocks) else generator


def close_block(generator: Generators, block: int) -> None:
    """Release the generators of the `block`-th block of start samples, if it has its own."""
    if isinstance(generator, OpenBlocks):
        generator.close(block)


def draw_normal(
    size: tuple[int, int, int], generator: Generators, *, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Draw standard normal noise [S, B, D].

    Args:
        size: (S, B, D).
        generator: one for the batch, B of them, or open noise blocks.
        dtype: of the draws and of the result.
        device: of the result.

    Raises:
        ValueError: the number of generators given per image is not B.
    """
    return _draw(torch.randn, size, generator, dtype).to(device)


def draw_uniform(size: tuple[int, int], generator: Generators, *, device: torch.device) -> Tensor:
    """Draw uniform noise in [0, 1), [S, B], float64. Arguments and errors are those of `draw_normal`."""
    return _draw(torch.rand, size, generator, torch.float64).to(device)


def _draw(sampler: Callable[..., Tensor], size: tuple[int, ...], generator: Generators, dtype: torch.dtype) -> Tensor:
    if isinstance(generator, torch.Generator):
        return sampler(size, generator=generator, device=generator.device, dtype=dtype)
    samples, images, *latent = size
    if isinstance(generator, OpenBlocks):
        whole = (NOISE_BLOCK, *size[1:])
        blocks = [_draw(sampler, whole, generator[block], dtype) for block in range(math.ceil(samples / NOISE_BLOCK))]
        return torch.cat(blocks)[:samples]
    if len(generator) != images:
        raise ValueError(
            f"generators must be one for the batch or one per image: got {len(generator)} for {images} images."
        )
    columns = [sampler((samples, *latent), generator=each, device=each.device, dtype=dtype) for each in generator]
    return torch.stack(columns, dim=1)
