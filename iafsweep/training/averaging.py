"""The moving average of a model's weights, with batch norm statistics of its own."""

from __future__ import annotations

import copy
from itertools import islice
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from iafsweep.config import TrainingConfig
from iafsweep.data import binarise
from iafsweep.data.binarisation import See
from iafsweep.models import VAE
from iafsweep.models.precision import eval_mode, full_precision
from iafsweep.training.batches import EpochBatches
from iafsweep.training.objective import bound_terms


@final
class WeightAverage:
    """Moving average of the weights: ``a <- d a + (1 - d) w`` after every step (Polyak and Juditsky 1992).

    After t steps ``d = min(decay, (1 + t) / (10 + t))``, so that the initial weights are soon forgotten.

    The moving averages of batch norm belong to the unaveraged weights. :meth:`settle` re-estimates them as means over
    batches of training images, without dropout, with the same bits and noise after every epoch.

    Args:
        model: the model in training.
        config: its recipe; ``weight_average`` is above 0.

    Attributes:
        model: a copy with the averaged weights, in eval mode.
    """

    def __init__(self, model: VAE, config: TrainingConfig) -> None:
        self.model = copy.deepcopy(model).requires_grad_(requires_grad=False).eval()
        self._config = config
        self._averages: list[Tensor] = list(self.model.parameters())
        self._weights: list[Tensor] = list(model.parameters())

    @torch.no_grad()
    def update(self, steps: int) -> None:
        """Add the current weights to the average, after ``steps`` steps in total."""
        decay = min(self._config.weight_average, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @torch.no_grad()
    def settle(self, images: Tensor, see: See = binarise) -> None:
        """Re-estimate the batch norm statistics on the first ``weight_average_images`` training images, in any order.

        Args:
            images: the training images, uint8 [N, ...].
            see: maps a batch of images to what the model sees; by default newly drawn bits.
        """
        norms = [module for module in self.model.modules() if isinstance(module, _BatchNorm)]
        if not norms:
            return
        config, count = self._config, min(self._config.weight_average_images, len(images))
        size = min(config.batch_size, count)
        batches = EpochBatches(images[:count], size, self.model.latent_size, config.seed, -1, see=see)
        usual = [norm.momentum for norm in norms]
        with eval_mode(self.model), full_precision():
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # the mean over all batches
                nn.Module.train(norm)
            for batch in islice(batches, count // size):
                bound_terms(self.model, batch.x, batch.noise)
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
            norm.eval()
