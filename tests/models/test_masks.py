"""Masks allow exactly what an autoregressive network may use: nothing more, nothing less."""

import itertools

import pytest
import torch

from iafsweep.models.masks import autoregressive_masks, hidden_degrees

SIZES = [
    (latent_size, width, layers)
    for latent_size, width, layers in itertools.product([1, 2, 3, 5, 8], [1, 2, 3, 4, 7, 8, 13, 40], [1, 2, 3])
    if width >= latent_size - 1
]


def allowed(masks):
    """Boolean [D, D]: is there a path from input j to output i?"""
    paths = masks[0].double()
    for mask in masks[1:]:
        paths = mask.double() @ paths
    return paths > 0


@pytest.mark.parametrize("reverse", [False, True])
def test_masks_are_complete_and_nothing_else(reverse):
    for latent_size, width, layers in SIZES:
        masks = autoregressive_masks(latent_size, width, layers, reverse=reverse)
        assert [tuple(mask.shape) for mask in masks] == [
            (width, latent_size),
            *[(width, width)] * (layers - 1),
            (latent_size, width),
        ]
        expected = torch.ones(latent_size, latent_size, dtype=torch.bool).tril(-1)
        assert torch.equal(allowed(masks), expected.T if reverse else expected), (latent_size, width, layers)


def test_context_reaches_every_output_but_the_first_of_the_narrowest():
    for latent_size, width, layers in SIZES:
        masks = autoregressive_masks(latent_size, width, layers, reverse=False)
        reached = allowed([torch.ones(width, 1, dtype=torch.bool), *masks[1:]])[:, 0]
        expected = torch.ones(latent_size, dtype=torch.bool)
        expected[0] = width >= latent_size
        assert torch.equal(reached, expected), (latent_size, width, layers)


def test_degrees_are_sorted_and_even():
    for latent_size, width, _ in SIZES:
        degrees = hidden_degrees(latent_size, width)
        lowest = 0 if width >= latent_size else 1
        counts = torch.bincount(degrees - lowest)
        assert degrees.sort().values.equal(degrees)
        assert degrees.min() == lowest
        assert degrees.max() == latent_size - 1
        assert counts.max() - counts.min() <= 1


def test_too_narrow_or_shallow_is_an_error():
    with pytest.raises(ValueError, match="width 2 is too narrow for 4 latent variables: .* at least 3"):
        autoregressive_masks(4, 2, 1, reverse=False)
    with pytest.raises(ValueError, match="width 0 is too narrow for 1 latent variables: .* at least 1"):
        autoregressive_masks(1, 0, 1, reverse=False)
    with pytest.raises(ValueError, match="at least 1 hidden layer, got 0"):
        autoregressive_masks(4, 8, 0, reverse=False)


def test_on_meta_masks_are_shapes_alone():
    width = 10**6  # a mask of a terabyte
    with torch.device("meta"):
        masks = autoregressive_masks(4, width, 2, reverse=False)
        with pytest.raises(ValueError, match="width 2 is too narrow for 4 latent variables"):
            autoregressive_masks(4, 2, 1, reverse=False)
    assert [tuple(mask.shape) for mask in masks] == [(width, 4), (width, width), (4, width)]
    assert {(mask.dtype, mask.device.type) for mask in masks} == {(torch.bool, "meta")}
