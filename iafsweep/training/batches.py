"""The batches of an epoch: which images, what is seen of them, the noise; a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.data import binarise
from iafsweep.data.binarisation import See
from iafsweep.seeds import derive_seed, generator


class Batch(NamedTuple):
    """What a step reads.

    Attributes:
        x: bits or levels, float32 [B, channels, height, width].
        noise: standard normal, [B, D], or [S, B, D] for S samples an image.
        number: its place in the epoch, 0 the first.
        seed: of what else the step draws: dropout.
    """

    x: Tensor
    noise: Tensor
    number: int = 0
    seed: int = 0


def batch_count(images: int, batch_size: int) -> int:
    """Number of batches of an epoch; an incomplete last one is left out."""
    return images // batch_size


class EpochBatches(Iterator[Batch]):
    """The batches of an epoch, made on the images' device; nothing waits for it.

    Args:
        images: all training images, uint8 [N, channels, height, width].
        batch_size: images a batch, B.
        latent_size: D.
        seed: of the training.
        epoch: 0 is the first.
        samples: of the posterior, an image.
        see: what is seen of a batch; bits drawn anew unless told otherwise.

    Attributes:
        done: batches that were taken.
    """

    def __init__(
        self,
        images: Tensor,
        batch_size: int,
        latent_size: int,
        seed: int,
        epoch: int,
        samples: int = 1,
        see: See = binarise,
    ) -> None:
        self._images, self._see, self._seed = images, see, (seed, "step", epoch)
        self._noise_shape = (batch_size, latent_size) if samples == 1 else (samples, batch_size, latent_size)
        self._draws = generator(images.device, seed, "epoch", epoch)
        order = torch.randperm(len(images), generator=self._draws, device=images.device)
        self._chosen = order[: batch_size * batch_count(len(images), batch_size)].split(batch_size)
        self.done = 0

    def __next__(self) -> Batch:
        """Return the next batch."""
        if self.done == len(self._chosen):
            raise StopIteration
        number = self.done
        x = self._see(self._images.index_select(0, self._chosen[number]), self._draws)
        self.done += 1
        noise = torch.randn(self._noise_shape, generator=self._draws, device=x.device)
        return Batch(x, noise, number, derive_seed(*self._seed, number))

    def draws(self) -> Tensor:
        """Return the generator's state, from which the batches that are left are drawn."""
        return self._draws.get_state()

    def go_on(self, done: int, draws: Tensor) -> None:
        """Go on behind ``done`` batches, with the generator's state as it was there."""
        self.done = done
        self._draws.set_state(draws.cpu())
