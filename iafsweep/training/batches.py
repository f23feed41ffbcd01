"""The batches of an epoch: which images, their bits, the posterior's noise; a function of the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from iafsweep.data import binarise
from iafsweep.generators import generator


class Batch(NamedTuple):
    """What a step reads.

    Attributes:
        x: bits, float32 [B, channels, height, width].
        noise: standard normal, [B, D].
    """

    x: Tensor
    noise: Tensor


def batch_count(images: int, batch_size: int) -> int:
    """Number of batches of an epoch; an incomplete last one is left out."""
    return images // batch_size


def epoch_batches(images: Tensor, batch_size: int, latent_size: int, seed: int, epoch: int) -> Iterator[Batch]:
    """Yield the batches of an epoch, made on the images' device; nothing waits for it.

    Args:
        images: all training images, uint8 [N, channels, height, width].
        batch_size: images a batch, B.
        latent_size: D.
        seed: of the training.
        epoch: 0 is the first.
    """
    device = images.device
    draws = generator(device, seed, "epoch", epoch)
    order = torch.randperm(len(images), generator=draws, device=device)
    for chosen in order[: batch_size * batch_count(len(images), batch_size)].split(batch_size):
        x = binarise(images.index_select(0, chosen), draws)
        yield Batch(x, torch.randn((batch_size, latent_size), generator=draws, device=device))
