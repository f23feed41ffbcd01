"""A masked product by blocks is the whole masked product, gradients included."""

import pytest
import torch

from iafsweep.models.block_product import BLOCK_ROWS, block_product, mask_blocks
from iafsweep.models.made import MaskedLayer
from iafsweep.models.masks import autoregressive_masks

MASKS = [mask for reverse in (False, True) for mask in autoregressive_masks(5, 24, 2, reverse=reverse)] + [
    torch.zeros(6, 4, dtype=torch.bool)
]


def gradients(y, *leaves):
    return torch.autograd.grad(y.square().sum() + y.sum(), leaves, retain_graph=True)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("mask", MASKS, ids=lambda mask: f"{mask.shape[0]}x{mask.shape[1]}")
def test_blocks_compute_the_masked_product_and_its_gradients(mask, count):
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(7, mask.shape[1], dtype=torch.float64, generator=draws, requires_grad=True)
    weight = torch.randn(mask.shape, dtype=torch.float64, generator=draws, requires_grad=True)
    mask = mask.double()
    blocks = mask_blocks(mask, count)
    assert [row for block in blocks for row in range(len(mask))[block.rows]] == list(range(len(mask)))
    whole = x @ (weight * mask).T
    found = block_product(x, weight, mask, blocks)
    torch.testing.assert_close(found, whole)
    for mine, expected in zip(gradients(found, x, weight), gradients(whole, x, weight), strict=True):
        torch.testing.assert_close(mine, expected)
    only_x = gradients(block_product(x, weight.detach(), mask, blocks), x)
    torch.testing.assert_close(only_x, gradients(whole, x))


def test_a_wide_layer_in_blocks_is_the_layer_as_a_whole():
    """In float32 and under autocast; with sample dimensions in front."""
    *_, mask, _ = autoregressive_masks(8, 2 * BLOCK_ROWS, 2, reverse=True)
    layer = MaskedLayer(mask, None, initial_bias=0.5)
    assert len(layer.blocks) == 2
    x = torch.randn(3, 2, mask.shape[1], generator=torch.Generator().manual_seed(2))
    assert sum(block.columns.stop - block.columns.start for block in layer.blocks) < 1.6 * mask.shape[1]
    for enabled, tolerance in ((False, 1e-5), (True, 2e-2)):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found = layer(x)
        assert found.dtype == (torch.bfloat16 if enabled else torch.float32)
        found.float().square().mean().backward()
        gradient, layer.weight.grad = layer.weight.grad, None
        whole = torch.nn.functional.linear(x, layer.masked_weight(), layer.bias)
        whole.square().mean().backward()
        torch.testing.assert_close(found.float(), whole, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(gradient, layer.weight.grad, rtol=tolerance, atol=tolerance * gradient.abs().max())
        layer.weight.grad = None


def test_narrow_layers_and_layers_without_memory_are_computed_whole():
    narrow = autoregressive_masks(8, 2 * BLOCK_ROWS - 1, 2, reverse=False)
    assert not MaskedLayer(narrow[1], None).blocks
    with torch.device("meta"):
        wide = autoregressive_masks(8, 2 * BLOCK_ROWS, 2, reverse=False)
        assert not MaskedLayer(wide[1], None).blocks
