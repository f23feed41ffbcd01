"""Products with a masked weight in training, without the blocks that the mask sets to zero.

Masks are block-triangular (:mod:`iafsweep.models.masks`). Rows are taken in blocks. Columns outside the range in which
a block's mask is nonzero enter neither ``y = (mask * W) x`` nor its gradients ``dx = (mask * W)^T dy`` and
``dW = mask * (dy x^T)``. Small products are faster if computed whole (docs/performance.md).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_ROWS = 320
"""Minimum number of rows per block in training; a weight with fewer than two blocks is computed whole."""


class Block(NamedTuple):
    """Rows of a mask, and the range of columns outside which all of them are zero."""

    rows: slice
    columns: slice


def mask_blocks(mask: Tensor, count: int) -> tuple[Block, ...]:
    """Split the rows of a mask or masked weight [outputs, inputs] into ``count`` blocks, as evenly as possible."""
    bounds = [0, *torch.tensor([len(part) for part in mask.tensor_split(count)]).cumsum(0).tolist()]
    return tuple(Block(slice(first, last), _used(mask[first:last])) for first, last in pairwise(bounds))


def _used(rows: Tensor) -> slice:
    used = rows.ne(0).any(0).nonzero().flatten()
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)


def block_product(x: Tensor, weight: Tensor, mask: Tensor, blocks: tuple[Block, ...]) -> Tensor:
    """Return ``(mask * W) x``, differentiable in ``x`` and ``W``; x [N, inputs] to [N, outputs].

    Under autocast it computes in autocast's precision, as PyTorch's own products do.

    Args:
        x: [N, inputs].
        weight: W, [outputs, inputs].
        mask: zeros and ones, [outputs, inputs].
        blocks: from :func:`mask_blocks`.
    """
    if torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
        x = x.to(torch.get_autocast_dtype(x.device.type))
    y: Tensor = _BlockProduct.apply(x, weight, mask, blocks)
    return y


class _BlockProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, mask: Tensor, blocks: tuple[Block, ...]) -> Tensor:  # noqa: ANN401
        y = x.new_empty(len(x), len(weight))
        parts = []
        for rows, columns in blocks:
            part = torch.empty_like(weight[rows, columns], dtype=x.dtype)
            torch.mul(weight[rows, columns], mask[rows, columns], out=part)
            torch.mm(x[:, columns], part.t(), out=y[:, rows])
            parts.append(part)
        ctx.save_for_backward(x, mask, *parts)
        ctx.blocks, ctx.weight_dtype = blocks, weight.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, mask, *parts = ctx.saved_tensors
        wants_x, wants_weight, *_ = ctx.needs_input_grad
        dx = torch.zeros_like(x) if wants_x else None
        dw = torch.zeros(mask.shape, dtype=ctx.weight_dtype, device=x.device) if wants_weight else None
        for (rows, columns), part in zip(ctx.blocks, parts, strict=True):
            if dx is not None:
                dx[:, columns].addmm_(dy[:, rows], part)
            if dw is not None:
                product = dy[:, rows].t() @ x[:, columns]
                torch.mul(product, mask[rows, columns], out=dw[rows, columns])
        return dx, dw, None, None
