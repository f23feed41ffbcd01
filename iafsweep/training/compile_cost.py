"""Whether compiling the training step pays: a count of the work against measured rates, not a stopwatch.

A stopwatch would decide differently from run to run, and a compiled step rounds differently: the same configuration on
the same machine must give the same figures. docs/performance.md has the measurements behind the constants.
"""

from __future__ import annotations

import math

import torch
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from iafsweep.config import RunConfig
from iafsweep.models import VAE
from iafsweep.training.batches import batch_count

SECONDS_A_MODULE = 1.3
"""Compiling costs so much for each module that has weights (cold cache, two cores)."""
FLOPS_A_SECOND = 35e9
"""What one thread of a CPU does in an eager float32 step."""
SAVED_SHARE_OF_PRODUCTS = 0.13
SAVED_SHARE_OF_CONVOLUTIONS = 0.33
"""So much of an eager step's time compiling saves: fully connected networks, and those with convolutions."""
SECONDS_A_MODULE_ON_A_GPU = 1.0
SAVED_SECONDS_A_MODULE_ON_A_GPU = 2e-5
"""Assumed, not measured: an eager step of a GPU waits for the launches of its kernels, some tens of microseconds a
module, forward and backward."""


def is_worth_compiling(config: RunConfig, model: VAE, device: torch.device) -> bool:
    """Whether a run saves at least twice the time that compiling its step costs with nothing cached."""
    steps = config.training.epochs * batch_count(config.data.training_images, config.training.batch_size)
    modules = sum(1 for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    if device.type == "cuda":
        return steps * SAVED_SECONDS_A_MODULE_ON_A_GPU > 2 * SECONDS_A_MODULE_ON_A_GPU
    rate = FLOPS_A_SECOND * torch.get_num_threads()
    cost = 2 * modules * SECONDS_A_MODULE
    has_convolutions = any(parameter.dim() == 4 for parameter in model.parameters())
    share = SAVED_SHARE_OF_CONVOLUTIONS if has_convolutions else SAVED_SHARE_OF_PRODUCTS

    def saved(flops: int) -> float:
        return steps * 3 * flops * config.training.batch_size / rate * share

    # Counting takes a second; short runs, which are many, are told apart without.
    return saved(most_flops(model)) > cost and saved(forward_flops(model)) > cost


def most_flops(model: VAE) -> int:
    """Return a bound on `forward_flops` that needs no pass: as if every kernel met every pixel of the image."""
    pixels = math.prod(model.image_shape[1:])
    return sum(2 * each.numel() * (pixels if each.dim() == 4 else 1) for each in model.parameters() if each.dim() > 1)


def forward_flops(model: VAE) -> int:
    """Floating-point operations of encoding an image, one pass of the flow and one of the decoder.

    Matrix products and convolutions are counted, a multiplication and an addition each; masked weights as dense ones.
    Backward costs twice as much again. Nothing is computed: tensors have shapes alone.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    x = torch.empty((2, *model.image_shape), device="meta")
    noise = torch.empty((2, model.latent_size), device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        functional_call(_Pass(model), {f"model.{name}": shape for name, shape in shapes.items()}, (x, noise))
    return int(counter.get_total_flops()) // 2


class _Pass(torch.nn.Module):
    """One pass through all networks."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        z, _ = self.model.transform_noise(noise, self.model.posterior(x))
        return self.model.decode(z)
