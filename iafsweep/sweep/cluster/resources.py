"""TODO iafsweep.sweep.cluster.resources."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError
from iafsweep.training.memory import device_memory

_MANY = 10**9


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    Attributes:
        name: its address, or ``this machine``.
        cpus: CPU cores that trials may use.
        gpus: GPUs that trials may use.
        memory: main memory, GiB.
    """

    name: str
    cpus: int
    gpus: int
    memory: float = math.inf

    def __str__(self) -> str:
        memory = "" if math.isinf(self.memory) else f", {self.memory:.0f} GiB"
        return f"{self.name}: {self.cpus} CPU, {self.gpus} GPU{memory}"


@dataclass(frozen=True)
class Plan:
    """How trials are laid out.

    Attributes:
        at_a_time: trials that run at once.
        limited_by: what keeps it from being more.
        cpus: CPU cores a trial.
        gpus: GPUs a trial.
    """

    at_a_time: int
    limited_by: str
    cpus: int
    gpus: float

    def __str__(self) -> str:
        trials = "1 trial" if self.at_a_time == 1 else f"{self.at_a_time} trials"
        return f"{trials} at a time, limited by {self.limited_by} ({self.cpus} CPU, {self.gpus:g} GPU a trial)"


def this_machine() -> Node:
    """Return what this machine offers: the cores this process may run on, the GPUs PyTorch sees, its memory.

    Of the memory, the limit of the control group (a container's, a batch job's) where that is lower; no limit where
    neither can be known.
    """
    memory = device_memory(torch.device("cpu"))
    return Node(
        "this machine",
        len(os.sched_getaffinity(0)),
        torch.cuda.device_count(),
        math.inf if memory is None else memory / 2**30,
    )


def plan_trials(nodes: Sequence[Node], sweep: SweepConfig, waiting: int, *, may_grow: bool = False) -> Plan:
    """Return how many trials run at a time; a trial never spans two nodes.

    Args:
        nodes: the machines.
        sweep: what a trial asks for.
        waiting: trials there still are to run.
        may_grow: the cluster adds nodes when trials wait for them, so nothing is refused.

    Raises:
        SweepError: no node can give what one trial asks for.
    """
    gpus = sweep.gpus_per_trial
    if gpus is None:
        gpus = 1.0 if any(node.gpus for node in nodes) else 0.0
    cpus, memory = sweep.cpus_per_trial, sweep.memory_per_trial
    slots = {
        "CPU": [node.cpus // cpus for node in nodes],
        "memory": [_MANY if math.isinf(node.memory) else int(node.memory // memory) for node in nodes],
        "GPU": [_gpu_slots(node.gpus, gpus) if gpus else _MANY for node in nodes],
    }
    fitting = sum(min(node) for node in zip(*slots.values(), strict=True))
    if fitting == 0 and not may_grow:
        offered = "; ".join(str(node) for node in nodes) or "no node"
        raise SweepError(
            f"a trial asks for {cpus} CPU, {gpus:g} GPU and {memory:g} GiB of memory on one node, but there is only "
            f"{offered}; lower cpus_per_trial, gpus_per_trial or memory_per_trial"
        )
    limits = {min(slots, key=lambda kind: sum(slots[kind])): _MANY if may_grow else fitting}
    if sweep.max_concurrent is not None:
        limits["max_concurrent"] = sweep.max_concurrent
    limits["the number of trials"] = max(waiting, 1)
    limited_by = min(limits, key=lambda name: limits[name])
    return Plan(limits[limited_by], limited_by, cpus, gpus)


def plan_training(nodes: Sequence[Node], sweep: SweepConfig, waiting: int, *, may_grow: bool = False) -> Plan:
    """Return how many trials train at a time, as :func:`plan_trials` does; what limits training must fit it too.

    Raises:
        SweepError: no node can give what one trial asks for, or GPU-hours are limited and trials use no GPU.
    """
    plan = plan_trials(nodes, sweep, waiting, may_grow=may_grow)
    if sweep.gpu_hours is not None and not plan.gpus:
        raise SweepError("sweep.gpu_hours limits GPU-hours, but trials use no GPU; limit --hours instead")
    return plan


def _gpu_slots(gpus: int, wanted: float) -> int:
    """Trials that fit: a fraction never straddles two GPUs."""
    if wanted >= 1:
        return gpus // int(wanted)
    return gpus * int(1 / wanted + 1e-9)
