"""Weight normalisation with data-dependent initialisation (Salimans and Kingma 2016, arXiv:1602.07868).

``w = g v / |v|``, with a norm for each row of a matrix and each output map of a convolution. The length of a weight and
its direction are trained separately, and the images of a batch do not affect each other. From the first batch, g and
bias of each hidden layer are set so that its output has mean 0 and variance 1; output layers stay as they were drawn.
Layers whose outputs are added up before an activation count as one, with one factor for the g of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast, final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from iafsweep.models.context import LinearContext
from iafsweep.models.flows import FlowStep
from iafsweep.models.heads.pixelcnn import CausalLayer
from iafsweep.models.layers import NormalisedLinear
from iafsweep.models.made import ConditionalMade, MaskedLayer
from iafsweep.models.precision import eval_mode
from iafsweep.models.vae import VAE

_TINY = 1e-24
"""Added to squared norms, since the weights of a unit whose mask hides all inputs have norm 0."""

_CONSTANT = 1e-10
"""An output whose variance over a batch is not above this counts as constant, and keeps its scale."""

Layer = nn.Linear | nn.Conv2d | nn.ConvTranspose2d | MaskedLayer


@final
class _Direction(nn.Module):
    """Computes w from its length g and direction v, with one length per row, or output map, of the weight."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs  # the output dimension of the weight

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """Return ``g v / |v|``."""
        return v * (g / self._norm(v))

    def right_inverse(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return g and v for a given w."""
        return self._norm(w), w

    def _norm(self, v: Tensor) -> Tensor:
        others = [dimension for dimension in range(v.dim()) if dimension != self.outputs]
        return (v.square().sum(others, keepdim=True) + _TINY).sqrt()


@torch.no_grad()
def apply_weight_norm(model: VAE) -> None:
    """Reparametrise the weight of every layer by length and direction; the layer's outputs do not change.

    The linear entry of a context is left out, since its output is added to that of a normalised layer.
    """
    entries = {module.linear for module in model.modules() if isinstance(module, LinearContext)}
    for module in list(model.modules()):
        if isinstance(module, Layer) and module not in entries:
            if isinstance(module, MaskedLayer):
                module.weight.mul_(module.mask)  # masked weights stay 0, and count in no norm
            outputs = 1 if isinstance(module, nn.ConvTranspose2d) else 0
            parametrize.register_parametrization(module, "weight", _Direction(outputs))


def remove_weight_norm(model: nn.Module) -> None:
    """Compute every weight once and store it as a plain parameter, for weights that no longer change."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            weight = nn.Parameter(cast("Tensor", module.weight).detach(), requires_grad=False)
            # Not by remove_parametrizations: it deletes the property from a class that copies of a module share.
            module.__class__ = type(module).__bases__[0]
            del module.parametrizations
            module.weight = weight


@torch.no_grad()
def start_from_data(model: VAE, x: Tensor, noise: Tensor) -> None:
    """Initialise the hidden layers of a new model in turn, so that outputs have mean 0 and variance 1 over a batch.

    Args:
        model: with weight norm and not compiled; changed in place.
        x: images as the model sees them, float [B, *image_shape].
        noise: noise of the posterior samples that decoder and prior see, [B, D].
    """
    begun: set[nn.Module] = set()

    def normalise(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if module in begun:  # a prior that uses the encoder calls it again
            return None
        begun.add(module)
        if isinstance(module, CausalLayer):
            summed = _normalise(_layers_of(module), module.pre_activation(*inputs))
            return None if summed is None else module.gated(summed)
        return _normalise(_layers_of(module), output)

    hooks = [module.register_forward_hook(normalise) for module in hidden_layers(model)]
    try:
        with eval_mode(model):  # without dropout
            z, _ = model.transform_noise(noise, model.posterior(x))
            model.log_joint(x, z)
    finally:
        for hook in hooks:
            hook.remove()


def hidden_layers(model: VAE) -> Iterator[nn.Module]:
    """Yield every layer of a model with weight norm that is not an output layer, as the module that is called.

    A causal layer is one, and its output that of its activation.
    """
    inner = {layer for module in model.modules() for layer in _layers_of(module) if layer is not module}
    outputs: set[nn.Module] = set()
    for module in model.modules():
        last = [getattr(module, "output", None)]
        if isinstance(module, ConditionalMade):
            last = [module.get_submodule(name) for name in module.outputs]
        elif isinstance(module, FlowStep):
            last = [child for child in module.children() if isinstance(child, nn.Linear)]
        for output in last:
            outputs |= set(output.modules()) if isinstance(output, nn.Module) else set()
    for module in model.modules():
        is_normed = any(parametrize.is_parametrized(layer) for layer in _layers_of(module))
        if is_normed and module not in inner and module not in outputs:
            yield module


def _layers_of(module: nn.Module) -> tuple[Layer, ...]:
    """Return the layers whose outputs a module adds up before any activation."""
    if isinstance(module, NormalisedLinear):
        return (module.linear,)
    if isinstance(module, CausalLayer):
        return module.above, module.left, module.condition
    return (module,) if isinstance(module, Layer) else ()


def _normalise(layers: Sequence[Layer], output: Tensor) -> Tensor | None:
    """Set g and bias of layers so that the sum of their outputs has mean 0 and variance 1, and return that sum.

    Args:
        layers: changed in place; without a bias, nothing is done.
        output: the sum.
    """
    bias = next((layer.bias for layer in layers if layer.bias is not None), None)
    if bias is None:
        return None
    maps = 1 if isinstance(layers[0], nn.Conv2d | nn.ConvTranspose2d) else output.dim() - 1
    others = [dimension for dimension in range(output.dim()) if dimension != maps]
    mean, variance = output.mean(others), output.var(others, correction=0)
    lengths = [cast("Tensor", layer.parametrizations.weight.original0) for layer in layers]  # type: ignore[union-attr]
    whole = torch.stack([length.flatten() for length in lengths]).norm(dim=0)
    # The few values of a small batch may agree by chance: of 100 units, one gives 2 images values a hundred times
    # closer than usual. A weight that spreads these to variance 1 would give other images huge values, in every layer
    # larger ones. With n values of a unit, its weight (of length about 1 as drawn) therefore gets no longer than n.
    largest = output.numel() / len(mean) / whole
    scale = torch.where(variance > _CONSTANT, variance.clamp(min=_CONSTANT).rsqrt().minimum(largest), 1.0)
    for length in lengths:
        length.mul_(scale.reshape(length.shape))
    bias.copy_((bias - mean) * scale)
    shown = [1] * output.dim()
    shown[maps] = -1
    return (output - mean.reshape(shown)) * scale.reshape(shown)
