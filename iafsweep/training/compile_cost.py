"""Whether compiling the training step pays: a count of the work against measured rates, not a stopwatch.

A stopwatch would decide differently from run to run, and a compiled step rounds differently: the same configuration on
the same machine must give the same figures. docs/performance.md has the measurements behind the constants.
"""

from __future__ import annotations

import torch

from iafsweep.config import RunConfig
from iafsweep.models import VAE
from iafsweep.training.batches import batch_count

SECONDS_A_MODULE = 1.3
"""Compiling costs so much for each module that has weights (cold cache, two cores)."""
FLOPS_A_SECOND = 45e9
"""What one thread of a CPU does in an eager float32 step of fully connected networks."""
SAVED_SHARE = 0.12
"""So much of an eager step's time compiling saves where there are matrix products alone."""
SECONDS_A_MODULE_ON_A_GPU = 1.0
SAVED_SECONDS_A_MODULE_ON_A_GPU = 2e-5
"""Assumed, not measured: an eager step of a GPU waits for the launches of its kernels, seven or eight a module, forward
and backward. Both costs grow with the modules, so that the number of steps decides: more than 100,000."""


def is_worth_compiling(config: RunConfig, model: VAE, device: torch.device) -> bool:
    """Whether a run saves at least twice the time that compiling its step costs with nothing cached.

    On a CPU a step with convolutions is not compiled: what compiling gains there is too little, or
    less than nothing, for the minutes it takes (docs/performance.md).
    """
    steps = config.training.epochs * batch_count(config.data.training_images, config.training.batch_size)
    if device.type == "cuda":
        return steps * SAVED_SECONDS_A_MODULE_ON_A_GPU > 2 * SECONDS_A_MODULE_ON_A_GPU
    weights = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    if any(weight.dim() > 2 for weight in weights):  # noqa: PLR2004 - a matrix has two
        return False
    # A multiplication and an addition for each weight and image; backward costs twice as much again.
    flops = 3 * 2 * sum(weight.numel() for weight in weights) * config.training.batch_size
    modules = sum(1 for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    saved = steps * flops / (FLOPS_A_SECOND * torch.get_num_threads()) * SAVED_SHARE
    return saved > 2 * modules * SECONDS_A_MODULE
