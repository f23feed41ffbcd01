"""The two ways in which a context enters a masked network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn


class ContextEntry(nn.Module, ABC):
    """How the context enters the first hidden layer of a masked network.

    ``embed`` depends on the context alone, so it runs once an image however many samples share it; ``activate``
    broadcasts its result over the samples.
    """

    @abstractmethod
    def __init__(self, context_size: int, width: int) -> None:
        super().__init__()

    @abstractmethod
    def embed(self, context: Tensor) -> Tensor:
        """Turn the context [B, C] into what is added to the hidden layer, [B, H]."""

    @abstractmethod
    def activate(self, pre_activation: Tensor, embedded: Tensor) -> Tensor:
        """Return the activated first layer [..., B, H] from its pre-activation [..., B, H] and ``embed``'s [B, H]."""


@final
class AddContext(ContextEntry):
    """``ELU(a) + context``: added after the activation, so the context is as wide as the layer.

    Raises:
        ValueError: it is not.
    """

    def __init__(self, context_size: int, width: int) -> None:
        super().__init__(context_size, width)
        if context_size != width:
            raise ValueError(
                f"an added context must be as wide as the hidden layer, got context size {context_size} and width "
                f"{width}; take the linear entry for another size"
            )

    def embed(self, context: Tensor) -> Tensor:
        """Return the context as it is."""
        return context

    def activate(self, pre_activation: Tensor, embedded: Tensor) -> Tensor:
        """Return ``ELU(a) + context``."""
        return F.elu(pre_activation) + embedded


@final
class LinearContext(ContextEntry):
    """``ELU(a + V context)``: a linear map without mask or bias, added to what the activation is applied to.

    It is added after the layer's batch norm: a wide context would otherwise drown the few latent variables.
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
"""Every way in, by the name configurations use."""
