"""Flows of the posterior.

``base`` what all are · ``identity`` plain Gaussian · ``iaf`` inverse autoregressive flow · ``planar``.
"""

from __future__ import annotations

from iafsweep.config import FlowConfig
from iafsweep.models.flows.base import Flow
from iafsweep.models.flows.identity import IdentityFlow


def build_flow(config: FlowConfig, latent_size: int, batch_norm_momentum: float | None) -> Flow:
    """Make the flow of ``config``: none at depth 0, else the one that ``config.kind`` names.

    Raises:
        PluginError: its plugin is not loaded.
        ValueError: its networks are too narrow for the latent size, or the context does not fit them.
    """
    member: type[Flow] = IdentityFlow if config.depth == 0 else config.family.load(config.kind)
    return member.from_config(config, latent_size, batch_norm_momentum)


__all__ = ["Flow", "IdentityFlow", "build_flow"]
