"""Flows made of steps: the base class of steps, and their composition."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, cast, final

from torch import Tensor, nn
from torch.nn import functional as F

from iafsweep.config import FlowConfig
from iafsweep.models.context import CONTEXT_ENTRIES
from iafsweep.models.flows.base import Flow
from iafsweep.models.made import ConditionalMade, OutputLayer

_SMALLEST = 1e-3


class FlowStep(nn.Module, ABC):
    """An invertible map ``z' = f(z; context)`` with its log-determinant; contract and shapes as in :class:`Flow`.

    Networks may compute in lower precision (autocast); a step uses their outputs in the type of z.

    Attributes:
        pushes_scores: whether it has :meth:`push_score`.
    """

    pushes_scores: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def from_config(
        cls, config: FlowConfig, latent_size: int, batch_norm_momentum: float | None, *, reverse: bool
    ) -> FlowStep:
        """Make a step with the sizes in ``config``.

        Args:
            config: the configuration of the flow.
            latent_size: D.
            batch_norm_momentum: momentum of its networks' batch norm; None: biases instead of batch norm.
            reverse: true for every second step; dependencies, if ordered, then run from the last variable to the first.
        """

    @abstractmethod
    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z [..., B, D] with context [B, C] to ``z' [..., B, D]`` and ``log|det| [..., B]``."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor) -> Tensor:
        """Undo ``forward``: z [..., B, D] with context [B, C] to [..., B, D]."""

    def push_score(self, z: Tensor, context: Tensor, score: Tensor) -> Tensor:
        """Return the score after the step from that before it at z, as :meth:`Flow.push_score` does."""
        raise NotImplementedError(f"{type(self).__name__} has no push_score, which `stl` and `dreg` need")


@final
class StepwiseFlow(Flow):
    """A sequence of steps as one flow.

    Args:
        steps: in the order in which they are applied; if they have an order of dependencies, it should alternate.
        context_size: C.
    """

    def __init__(self, steps: Sequence[FlowStep], context_size: int) -> None:
        super().__init__()
        self.context_size = context_size
        self.pushes_scores = all(step.pushes_scores for step in steps)
        self.steps = nn.ModuleList(steps)

    def forward(self, z: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return ``z' [..., B, D]`` and ``log|det dz'/dz| [..., B]``.

        Raises:
            ValueError: no context.
        """
        given = _required(context)
        log_det = z.new_zeros(z.shape[:-1])
        for step in self.steps:
            z, step_log_det = step(z, given)
            log_det = log_det + step_log_det
        return z, log_det

    def inverse(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Return the point [..., B, D] that ``forward`` maps to z, from the last step to the first.

        Raises:
            ValueError: no context.
        """
        given = _required(context)
        for step in reversed(cast("list[FlowStep]", list(self.steps))):
            z = step.inverse(z, given)
        return z

    def push_score(self, z: Tensor, context: Tensor | None, score: Tensor) -> Tensor:
        """Push the score through all steps in turn.

        Raises:
            ValueError: no context.
        """
        given = _required(context)
        for step in cast("list[FlowStep]", list(self.steps)):
            score = step.push_score(z, given, score)
            z, _ = step(z, given)
        return score


def _required(context: Tensor | None) -> Tensor:
    if context is None:
        raise ValueError("a flow of steps needs a context [B, C], got None")
    return context


def made_of(
    config: FlowConfig,
    latent_size: int,
    batch_norm_momentum: float | None,
    outputs: Mapping[str, OutputLayer],
    *,
    reverse: bool,
) -> ConditionalMade:
    """Make the cMADE of an autoregressive step, with the sizes in ``config.made``."""
    sizes = config.made
    return ConditionalMade(
        latent_size,
        sizes.width,
        sizes.hidden_layers,
        CONTEXT_ENTRIES[sizes.context_mode](config.resolved_context_size, sizes.width),
        outputs=outputs,
        batch_norm_momentum=batch_norm_momentum if sizes.batch_norm else None,
        reverse=reverse,
    )


def positive(raw: Tensor) -> Tensor:
    """Return ``0.001 + softplus(raw + c)``, which is at least 0.001, with the c for which ``raw = 0`` gives 1."""
    return _SMALLEST + F.softplus(raw + math.log(math.expm1(1 - _SMALLEST)))
