"""Flows of the posterior: ``base`` what all are · ``identity`` plain Gaussian · ``iaf`` inverse autoregressive flow."""

from __future__ import annotations

from iafsweep.config import FlowConfig
from iafsweep.models.context import CONTEXT_ENTRIES
from iafsweep.models.flows.base import Flow
from iafsweep.models.flows.iaf import IAFStep, InverseAutoregressiveFlow
from iafsweep.models.flows.identity import IdentityFlow
from iafsweep.models.made import ConditionalMade
from iafsweep.models.registry import find_member


def build_flow(config: FlowConfig, latent_size: int, batch_norm_momentum: float) -> Flow:
    """Make the flow of ``config``: none at depth 0, else ``depth`` IAF steps, every second one reversed.

    Raises:
        ValueError: the masked networks are too narrow for the latent size, or the context does not fit them.
    """
    if config.depth == 0:
        return IdentityFlow()
    steps = [_build_step(config, latent_size, batch_norm_momentum, reverse=k % 2 == 1) for k in range(config.depth)]
    return InverseAutoregressiveFlow(steps, config.resolved_context_size)


def _build_step(config: FlowConfig, latent_size: int, batch_norm_momentum: float, *, reverse: bool) -> IAFStep:
    sizes = config.made
    entry = find_member(CONTEXT_ENTRIES, "context mode", sizes.context_mode)
    made = ConditionalMade(
        latent_size,
        sizes.width,
        sizes.hidden_layers,
        entry(config.resolved_context_size, sizes.width),
        batch_norm_momentum=batch_norm_momentum if sizes.batch_norm else None,
        gated=config.gated,
        reverse=reverse,
    )
    return IAFStep(made)


__all__ = ["Flow", "IAFStep", "IdentityFlow", "InverseAutoregressiveFlow", "build_flow"]
