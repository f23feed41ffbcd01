"""The two ways in which a context enters a masked network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn


class ContextEntry(nn.Module, ABC):
    """How the context enters the first hidden layer of a masked network.

    ``embed`` depends on the context alone, so it runs once per image, however many samples share it; ``activate``
    broadcasts its result over the samples.
    """

    @abstractmethod
    def __init__(self, context_size: int, width: int) -> None:
        super().__init__()

    @abstractmethod
    def embed(self, context: Tensor) -> Tensor:
        """Map the context [B, C] to the term that is added to the hidden layer, [B, H]."""

    @abstractmethod
    def activate(self, pre_activation: Tensor, embedded: Tensor) -> Tensor:
        """Return the activated first layer [..., B, H], given its pre-activation and the embedded context [B, H]."""


@final
class AddContext(ContextEntry):
    """``ELU(a) + context``: added after the activation, so the context must be as wide as the layer.

    Raises:
        ValueError: the context size differs from the width.
    """

    def __init__(self, context_size: int, width: int) -> None:
        super().__init__(context_size, width)
        if context_size != width:
            raise ValueError(
                f"an added context must be as wide as the hidden layer, got context size {context_size} and width "
                f'{width}; for another size, set model.flow.made.context_mode = "linear"'
            )

    def embed(self, context: Tensor) -> Tensor:
        """Return the context unchanged."""
        return context

    def activate(self, pre_activation: Tensor, embedded: Tensor) -> Tensor:
        """Return ``ELU(a) + context``."""
        return F.elu(pre_activation) + embedded


@final
class LinearContext(ContextEntry):
    """``ELU(a + V context)``: a linear map without mask or bias, added to the pre-activation.

    It is added after the layer's batch norm; before it, a wide context would drown out the few latent variables.
    """

    def __init__(self, context_size: int, width: int) -> None:
        super().__init__(context_size, width)
        self.linear = nn.Linear(context_size, width, bias=False)

    def embed(self, context: Tensor) -> Tensor:
        """Return ``V context``."""
        embedded: Tensor = self.linear(context)
        return embedded

    def activate(self, pre_activation: Tensor, embedded: Tensor) -> Tensor:
        """Return ``ELU(a + V context)``."""
        return F.elu(pre_activation + embedded)


CONTEXT_ENTRIES: dict[str, type[ContextEntry]] = {"add": AddContext, "linear": LinearContext}
"""Every context entry, by the name configurations use."""
