"""Random numbers of an estimator, drawn so that neither batching nor chunking changes them.

Shapes: S samples or chains, B images, D latent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NOISE_BLOCK = 50
"""Start samples are always drawn so many at a time, whatever is asked for and however it is evaluated.

`torch.randn` gives other numbers when asked for 100 at once than for 50 twice. With fixed blocks the first samples of a
long run are the samples of a short one, and a run in which nothing moves is importance sampling draw for draw.
"""


@dataclass(frozen=True)
class NoiseBlocks:
    """Generators that are a pure function of image and block: rows 50 k to 50 k + 49 of S come from those of block k.

    A block always draws all of its `NOISE_BLOCK` rows, whatever is used of them: the first samples or chains of a long
    run are those of a short one, and a run can go on later at any block, in any process.

    Attributes:
        of_block: a block's number, from 0, to B generators, one an image, seeded afresh at each call.
        first: number of the first block.
    """

    of_block: Callable[[int], Sequence[torch.Generator]]
    first: int = 0

    def open(self) -> OpenBlocks:
        """Generators to draw from: each block is seeded once, and then goes on."""
        return OpenBlocks(self)


class OpenBlocks:
    """`NoiseBlocks` being drawn from. A generator takes 2.5 kB, and there is one for each image and open block."""

    def __init__(self, blocks: NoiseBlocks) -> None:
        self._blocks = blocks
        self._opened: list[Sequence[torch.Generator] | None] = []

    def __getitem__(self, block: int) -> Sequence[torch.Generator]:
        """The generators of the `block`-th block from the first one on, one an image.

        Raises:
            ValueError: the block was closed.
        """
        while len(self._opened) <= block:
            self._opened.append(self._blocks.of_block(self._blocks.first + len(self._opened)))
        opened = self._opened[block]
        if opened is None:
            raise ValueError(f"block {block} of the noise has been drawn and let go: open the noise again")
        return opened

    def close(self, block: int) -> None:
        """Let go of a block's generators; drawn from again it would begin anew, with the same numbers."""
        self._opened[block] = None


Generators = torch.Generator | Sequence[torch.Generator] | OpenBlocks
"""One generator for a whole batch; or one an image, so that an image's numbers do not depend on the images beside it;
or `NoiseBlocks.open()`, so that they do not depend on the number of samples or chains either.

Noise is drawn on the generator's own device and moved: a CPU generator gives the same numbers whatever the network
runs on.
"""


def generators_of_block(generator: Generators, block: int) -> Generators:
    """What draws the `block`-th block of start samples."""
    return generator[block] if isinstance(generator, OpenBlocks) else generator


def close_block(generator: Generators, block: int) -> None:
    """Let go of what drew the `block`-th block of start samples, where it has generators of its own."""
    if isinstance(generator, OpenBlocks):
        generator.close(block)


def draw_normal(
    size: tuple[int, int, int], generator: Generators, *, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Standard normal noise [S, B, D].

    Args:
        size: (S, B, D).
        generator: one for the batch, or B of them.
        dtype: type of the result, and the one drawn in.
        device: where the result goes.

    Raises:
        ValueError: generators were given one an image, but not B of them.
    """
    return _draw(torch.randn, size, generator, dtype).to(device)


def draw_uniform(size: tuple[int, int], generator: Generators, *, device: torch.device) -> Tensor:
    """Uniform noise in [0, 1), [S, B], float64. Arguments and errors as in `draw_normal`."""
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
            f"generators must be one for the batch or one an image: got {len(generator)} for {images} images."
        )
    columns = [sampler((samples, *latent), generator=each, device=each.device, dtype=dtype) for each in generator]
    return torch.stack(columns, dim=1)
