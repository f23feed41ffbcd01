"""Flows of the posterior: ``base`` what all are · ``identity`` plain Gaussian · ``steps`` one step after the other.

A member is a step: ``iaf`` inverse autoregressive · ``planar`` · ``sylvester`` · ``naf`` neural autoregressive ·
``spline`` autoregressive rational-quadratic.
"""

from __future__ import annotations

from iafsweep.config import FlowConfig
from iafsweep.models.flows.base import Flow
from iafsweep.models.flows.iaf import IAFStep
from iafsweep.models.flows.identity import IdentityFlow
from iafsweep.models.flows.naf import NeuralAutoregressiveStep
from iafsweep.models.flows.planar import PlanarStep
from iafsweep.models.flows.spline import SplineStep
from iafsweep.models.flows.steps import FlowStep, StepwiseFlow
from iafsweep.models.flows.sylvester import SylvesterStep
from iafsweep.models.registry import find_member

FLOW_STEPS: dict[str, type[FlowStep]] = {
    "iaf": IAFStep,
    "planar": PlanarStep,
    "sylvester": SylvesterStep,
    "naf": NeuralAutoregressiveStep,
    "spline": SplineStep,
}
"""Every flow, by the name configurations use."""


def build_flow(config: FlowConfig, latent_size: int, batch_norm_momentum: float) -> Flow:
    """Make the flow of ``config``: none at depth 0, else ``depth`` steps of its kind, every second one reversed.

    Raises:
        ValueError: the masked networks are too narrow for the latent size, or the context does not fit them.
    """
    if config.depth == 0:
        return IdentityFlow()
    member = find_member(FLOW_STEPS, "flow", config.kind)
    steps = [
        member.from_config(config, latent_size, batch_norm_momentum, reverse=k % 2 == 1) for k in range(config.depth)
    ]
    return StepwiseFlow(steps, config.resolved_context_size)


__all__ = ["FLOW_STEPS", "Flow", "FlowStep", "IdentityFlow", "StepwiseFlow", "build_flow"]
