"""The batches of an epoch: images, what the model sees of them, and noise, as a function of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.data import binarise
from iafsweep.data.binarisation import See
from iafsweep.seeds import derive_seed, generator


class Batch(NamedTuple):
    """The input of a training step.

    Attributes:
        x: bits or levels, float32 [B, channels, height, width].
        noise: standard normal, [B, D], or [S, B, D] for S samples per image.
        number: index within the epoch, from 0.
        seed: for everything else the step draws, that is, dropout.
    """

    x: Tensor
    noise: Tensor
    number: int = 0
    seed: int = 0


def batch_count(images: int, batch_size: int) -> int:
    """Number of batches per epoch; an incomplete last batch is left out."""
    return images // batch_size


class EpochBatches(Iterator[Batch]):
    """The batches of an epoch, created on the images' device without waiting for it.

    Args:
        images: all training images, uint8 [N, channels, height, width].
        batch_size: images per batch, B.
        latent_size: D.
        seed: the training seed.
        epoch: index of the epoch, from 0.
        samples: posterior samples per image.
        see: maps a batch of images to what the model sees; by default newly drawn bits.

    Attributes:
        done: number of batches taken so far.
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
        """Return the state of the generator that draws the remaining batches."""
        return self._draws.get_state()

    def go_on(self, done: int, draws: Tensor) -> None:
        """Continue after ``done`` batches, with the generator's state at that point."""
        self.done = done
        self._draws.set_state(draws.cpu())
