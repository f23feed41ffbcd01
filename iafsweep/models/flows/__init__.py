"""Flows of the posterior: ``base`` the base class · ``identity`` plain Gaussian · ``steps`` sequences of steps.

A member of the family is a step: ``iaf`` inverse autoregressive · ``planar`` · ``sylvester`` · ``naf`` neural
autoregressive · ``spline`` autoregressive rational-quadratic.
"""

from iafsweep.config import FlowConfig
from iafsweep.models.flows.base import Flow
from iafsweep.models.flows.identity import IdentityFlow
from iafsweep.models.flows.steps import FlowStep, StepwiseFlow


def build_flow(config: FlowConfig, latent_size: int, batch_norm_momentum: float | None) -> Flow:
    """Make the flow of ``config``: the identity at depth 0, else ``depth`` steps of its kind, every second reversed.

    Raises:
        PluginError: its plugin is not loaded.
        ValueError: its networks are too narrow for the latent size, or the context does not fit them.
    """
    if config.depth == 0:
        return IdentityFlow()
    member: type[FlowStep] = config.family.load(config.kind)
    steps = [
        member.from_config(config, latent_size, batch_norm_momentum, reverse=k % 2 == 1) for k in range(config.depth)
    ]
    return StepwiseFlow(steps, config.resolved_context_size)


__all__ = ["Flow", "FlowStep", "IdentityFlow", "StepwiseFlow", "build_flow"]
