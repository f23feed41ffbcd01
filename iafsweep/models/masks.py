"""Masks that make a network autoregressive (Germain et al. 2015, MADE, arXiv:1502.03509).

Unit u of a hidden layer has a degree d(u) and sees only the first d(u) latent variables in the step's order. Degrees
are sorted and spread evenly, the same in every layer, so each mask is block-triangular. With at least D units they run
from 0 to D - 1; units of degree 0 see only the context, and carry it to every output, including the first. With D - 1
units they run from 1, and the first output is a learned constant that does not depend on the context.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hidden_degrees(latent_size: int, width: int) -> Tensor:
    """Return the degrees of a hidden layer's units, sorted: integers [width], on the CPU whatever the default device.

    Raises:
        ValueError: too few units for all degrees, so that an allowed dependence would be missing.
    """
    _refuse_too_narrow(latent_size, width)
    lowest = 0 if width >= latent_size else 1
    return lowest + torch.arange(width, device="cpu") * (latent_size - lowest) // width


def autoregressive_masks(latent_size: int, width: int, hidden_layers: int, *, reverse: bool) -> list[Tensor]:
    """Return the masks of all layers, from input to output, as booleans [outputs, inputs].

    Their product is positive exactly where output i may depend on input j: j < i, or j > i when ``reverse``. If the
    default device is `meta` (to count parameters), they have shapes but take no memory.

    Args:
        latent_size: D, number of inputs and of outputs.
        width: units of every hidden layer, at least D - 1.
        hidden_layers: number of hidden layers, at least 1.
        reverse: the order of dependencies runs from the last latent variable to the first.

    Raises:
        ValueError: too few units or layers.
    """
    if hidden_layers < 1:
        raise ValueError(f"a masked network needs at least 1 hidden layer, got {hidden_layers}")
    _refuse_too_narrow(latent_size, width)
    device = torch.get_default_device()
    if device.type == "meta":
        shapes = [(width, latent_size), *[(width, width)] * (hidden_layers - 1), (latent_size, width)]
        return [torch.empty(shape, dtype=torch.bool) for shape in shapes]
    hidden = hidden_degrees(latent_size, width)
    position = torch.arange(1, latent_size + 1, device="cpu")
    if reverse:
        position = position.flip(0)
    first = hidden[:, None] >= position[None, :]
    between = hidden[:, None] >= hidden[None, :]
    last = position[:, None] > hidden[None, :]
    return [mask.to(device) for mask in (first, *[between] * (hidden_layers - 1), last)]


def _refuse_too_narrow(latent_size: int, width: int) -> None:
    needed = max(latent_size - 1, 1)
    if width < needed:
        raise ValueError(
            f"width {width} is too narrow for {latent_size} latent variables: complete autoregressive masks need a "
            f"width of at least {needed}"
        )
