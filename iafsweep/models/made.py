"""The cMADE: a masked autoregressive network with a context (Germain et al. 2015, MADE, arXiv:1502.03509)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.models.block_product import BLOCK_ROWS, block_product, mask_blocks
from iafsweep.models.context import ContextEntry
from iafsweep.models.layers import BatchNorm
from iafsweep.models.masks import autoregressive_masks


class OutputLayer(NamedTuple):
    """Settings of an output layer of a cMADE.

    Attributes:
        numbers: P, outputs per latent variable; None: one, without a dimension of its own.
        start: starting value of its biases (or of the shift of its batch norm).
        normed: whether it has batch norm if the hidden layers have it.
        scale: factor on its initial weights.
    """

    numbers: int | None = None
    start: float = 0.0
    normed: bool = True
    scale: float = 1.0


Undo = Callable[..., Tensor]
"""Maps a coordinate after an autoregressive step [..., B], and its outputs, to the coordinate before the step."""


@final
class MaskedLayer(nn.Module):
    """``BN((mask * W) x)``, or ``(mask * W) x + bias`` without batch norm; x [..., inputs] to [..., outputs].

    The weight is stored dense. Checkpoints leave out the mask, since it follows from the sizes.

    Attributes:
        initial_bias: starting value of the bias (or of the shift of the batch norm).
        initial_scale: factor on the initial weights.
        blocks: blocks of the mask, computed separately in training on a CPU; empty if the product is computed whole.
    """

    mask: Tensor

    def __init__(
        self, mask: Tensor, batch_norm_momentum: float | None, initial_bias: float = 0.0, initial_scale: float = 1.0
    ) -> None:
        super().__init__()
        outputs, inputs = mask.shape
        self.initial_bias, self.initial_scale = initial_bias, initial_scale
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, inputs)))
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        count = outputs // BLOCK_ROWS
        self.blocks = mask_blocks(mask, count) if count > 1 and mask.device.type == "cpu" else ()
        self.bias: nn.Parameter | None = None
        self.norm: BatchNorm | None = None
        if batch_norm_momentum is None:
            self.bias = nn.Parameter(torch.full((outputs,), initial_bias))
        else:
            self.norm = BatchNorm(outputs, batch_norm_momentum, initial_bias)

    def masked_weight(self) -> Tensor:
        """Return ``mask * W``, [outputs, inputs]."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """Apply the masked map, then the bias or batch norm."""
        y = self._product(x)
        return y if self.norm is None else self.norm(y)

    def _product(self, x: Tensor) -> Tensor:
        # On a GPU, kernel launches cost more than the zeros; a compiler fuses the mask into the code around it.
        if not self.blocks or x.device.type != "cpu" or torch.compiler.is_compiling():
            return F.linear(x, self.masked_weight(), self.bias)
        rows = block_product(x.flatten(0, -2), self.weight, self.mask, self.blocks)
        if self.bias is not None:
            rows = rows + self.bias.to(rows.dtype)
        return rows.reshape(*x.shape[:-1], rows.shape[-1])


@final
class ConditionalMade(nn.Module):
    """Masked hidden layers with ELU, then masked output layers, each an attribute under its name.

    Output i depends on the inputs before i (after i when ``reverse``) and on the context, never on input i itself.

    Args:
        latent_size: D.
        width: H, units of every hidden layer, at least D - 1.
        hidden_layers: number of hidden layers, at least 1.
        entry: how the context enters; built for this width. None: no context.
        outputs: the output layers by name.
        batch_norm_momentum: weight of the newest batch in the moving averages; None: biases instead of batch norm.
        reverse: the order of dependencies runs from the last latent variable to the first.

    Raises:
        ValueError: too few units or layers.
    """

    def __init__(
        self,
        latent_size: int,
        width: int,
        hidden_layers: int,
        entry: ContextEntry | None,
        *,
        outputs: Mapping[str, OutputLayer],
        batch_norm_momentum: float | None,
        reverse: bool,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.reverse = reverse
        *hidden_masks, output_mask = autoregressive_masks(latent_size, width, hidden_layers, reverse=reverse)
        self.entry = entry
        self.first = MaskedLayer(hidden_masks[0], batch_norm_momentum)
        self.hidden = nn.ModuleList(MaskedLayer(mask, batch_norm_momentum) for mask in hidden_masks[1:])
        self.outputs = dict(outputs)
        for name, layer in outputs.items():
            momentum = batch_norm_momentum if layer.normed else None
            mask = output_mask.repeat_interleave(layer.numbers or 1, 0)
            self.add_module(name, MaskedLayer(mask, momentum, layer.start, layer.scale))

    def embed(self, context: Tensor) -> Tensor:
        """Embed the context [B, C] for ``forward``, [B, H]: once per image, however many samples share it.

        Raises:
            ValueError: the network takes no context.
        """
        if self.entry is None:
            raise ValueError("this masked network takes no context")
        return self.entry.embed(context)

    def forward(self, z: Tensor, embedded: Tensor | None) -> tuple[Tensor, ...]:
        """Return the output of each output layer, in the type of z: [..., B, D], or [..., B, D, P].

        The network itself may compute in lower precision (autocast).

        Args:
            z: latent variables, [..., B, D].
            embedded: ``embed(context)``, [B, H]; broadcast over the leading dimensions of z. None: no context.
        """
        hidden = self.first(z)
        if self.entry is None or embedded is None:
            hidden = F.elu(hidden)
        else:
            hidden = self.entry.activate(hidden, embedded)
        for layer in self.hidden:
            hidden = F.elu(layer(hidden))
        return tuple(self._output(name, layer, hidden).to(z.dtype) for name, layer in self.outputs.items())

    def _output(self, name: str, layer: OutputLayer, hidden: Tensor) -> Tensor:
        flat = cast("Tensor", self.get_submodule(name)(hidden))
        return flat if layer.numbers is None else flat.unflatten(-1, (self.latent_size, layer.numbers))

    def solve(self, z: Tensor, embedded: Tensor | None, undo: Undo) -> Tensor:
        """Invert an autoregressive step with these outputs: return the point that it maps to z, in D passes.

        Args:
            z: after the step, [..., B, D].
            embedded: as ``forward`` takes it.
            undo: inverts the step in one coordinate.
        """
        coordinates = torch.arange(self.latent_size, device=z.device)
        source = torch.zeros_like(z)
        for i in reversed(range(self.latent_size)) if self.reverse else range(self.latent_size):
            outputs = (each.select(z.dim() - 1, i) for each in self(source, embedded))
            # One coordinate at a time: the others are still guesses, and a guess that overflows would give
            # 0 * inf = NaN behind a mask.
            source = torch.where(coordinates == i, undo(z[..., i], *outputs).unsqueeze(-1), source)
        return source
