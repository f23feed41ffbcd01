"""Prepare a model for scoring: compute once what is the same for every image and sample.

In eval mode batch norm is a fixed affine map, and masked weights are fixed too. Masks and batch norms are therefore
multiplied into the weights next to them, ``BN((mask * W) x) = (s * mask * W) x + t`` with
``s = scale / sqrt(variance + epsilon)`` and ``t = shift - s * mean``, and blocks that a mask sets to zero are not
computed. The densities are the same up to rounding.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.models.block_product import mask_blocks
from iafsweep.models.decoders.resnet import ResnetDecoder
from iafsweep.models.layers import NormalisedLinear
from iafsweep.models.made import MaskedLayer
from iafsweep.models.priors.vamp import VampPrior
from iafsweep.models.residual import ResidualBlock
from iafsweep.models.vae import VAE
from iafsweep.models.weight_norm import remove_weight_norm

BLOCK_UNITS = 80
MOST_BLOCKS = 12
"""Minimum number of rows per block of a masked weight, and maximum number of blocks: more blocks skip more zeros, but
make products too small to be fast (docs/performance.md)."""

BatchNormLayer = nn.BatchNorm1d | nn.BatchNorm2d


def folded(model: VAE) -> VAE:
    """Return a copy of a model in eval mode that scores faster and has no gradients of its parameters.

    Raises:
        RuntimeError: the model cannot be scored (see `refuse_unfit`).
    """
    refuse_unfit(model)
    copied = copy.deepcopy(model).requires_grad_(requires_grad=False)
    remove_weight_norm(copied)
    if isinstance(copied.prior, VampPrior):
        copied.prior.fix()
    for module in list(copied.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, MaskedLayer):
                setattr(module, name, _folded_layer(child))
        if isinstance(module, NormalisedLinear):
            _fold_linear(module)
        elif isinstance(module, ResidualBlock):
            _fold_block(module)
        elif isinstance(module, ResnetDecoder):
            _fold_output(module)
    return copied


def refuse_unfit(model: nn.Module) -> None:
    """Check that a model can be scored: all of it in eval mode, and no number of lower precision than float32.

    Raises:
        RuntimeError: part of it is in training mode, where batch norm depends on the batch, or in a type such as
            bfloat16, whose rounding changes a likelihood by more than its error bars.
    """
    if any(module.training for module in model.modules()):
        found, loss = "is in training mode", ""
    else:
        dtypes = {each.dtype for each in (*model.parameters(), *model.buffers()) if each.is_floating_point()}
        low = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes if torch.finfo(dtype).bits < 32)
        if not low:
            return
        found, loss = (
            f"holds {' and '.join(low)} numbers",
            " (its weights stay rounded; load the run again for the original weights)",
        )
    raise RuntimeError(
        f"scoring needs a model in eval mode and float32, but this one {found}: call run.model.float().eval(){loss}"
    )


class _Affine(NamedTuple):
    """A batch norm in eval mode: ``scale * x + shift``, each [features]."""

    scale: Tensor
    shift: Tensor


def _affine(norm: BatchNormLayer) -> _Affine:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without moving averages cannot be folded")
    scale = norm.weight / (variance + norm.eps).sqrt()
    return _Affine(scale, norm.bias - scale * mean)


@final
class BlockLinear(nn.Module):
    """``W x + b`` for a weight with many zeros known in advance; x [..., inputs] to [..., outputs].

    Rows are taken in blocks, and each block is multiplied only in the range of columns that holds its nonzero weights.

    Args:
        weight: [outputs, inputs].
        bias: [outputs].
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        count = min(MOST_BLOCKS, max(1, len(weight) // BLOCK_UNITS))
        blocks = mask_blocks(weight, count)
        self.columns = [block.columns for block in blocks]
        self.weights = nn.ParameterList(
            nn.Parameter(weight[rows, columns].clone(), requires_grad=False) for rows, columns in blocks
        )
        self.biases = nn.ParameterList(nn.Parameter(bias[rows].clone(), requires_grad=False) for rows, _ in blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map."""
        rows = x.flatten(0, -2)  # a range of a matrix's columns needs no copy
        parts = [
            F.linear(rows[:, columns], weight, bias)
            for columns, weight, bias in zip(self.columns, self.weights, self.biases, strict=True)
        ]
        y = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        return y.reshape(*x.shape[:-1], y.shape[-1])


def _folded_layer(layer: MaskedLayer) -> BlockLinear:
    """Return the plain affine map that a masked layer is in eval mode."""
    weight = layer.masked_weight()
    if layer.norm is not None:
        scale, shift = _affine(layer.norm)
        return BlockLinear(weight * scale[:, None], shift)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
    return BlockLinear(weight, bias)


def _fold_linear(module: NormalisedLinear) -> None:
    if not isinstance(module.norm, BatchNormLayer):
        return
    scale, shift = _affine(module.norm)
    module.linear.weight.mul_(scale[:, None])
    module.linear.bias = nn.Parameter(shift, requires_grad=False)
    module.norm = nn.Identity()


def _fold_block(block: ResidualBlock) -> None:
    """Fold the second norm into the convolution before it; the first stays, as the shortcut also reads its input."""
    if not isinstance(block.second_norm, BatchNormLayer):
        return
    scale, shift = _affine(block.second_norm)
    block.first.weight.mul_(scale[:, None, None, None])
    block.first.bias = nn.Parameter(shift, requires_grad=False)
    block.second_norm = nn.Identity()


def _fold_output(decoder: ResnetDecoder) -> None:
    """Fold the last norm into the 1x1 convolution after it."""
    if not isinstance(decoder.norm, BatchNormLayer):
        return
    scale, shift = _affine(decoder.norm)
    weight, bias = decoder.output.weight, decoder.output.bias
    if bias is None:
        raise ValueError("a decoder's output layer needs a bias to fold its batch norm into, but has none")
    bias.add_(weight.flatten(1) @ shift)
    weight.mul_(scale[None, :, None, None])
    decoder.norm = nn.Identity()
