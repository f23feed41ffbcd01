"""What machines offer, and how many trials run on them at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError
from iafsweep.limits import usable_cpus, usable_memory
from iafsweep.texts import counted

_MANY = 10**9


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    ``memory`` is in GiB; ``cpu_limit`` and ``memory_limit`` say what limits cores and memory, if anything is known to.
    """

    name: str
    cpus: int
    gpus: int
    memory: float = math.inf
    cpu_limit: str = ""
    memory_limit: str = ""

    def __str__(self) -> str:
        memory = "" if math.isinf(self.memory) else f", {self.memory:.3g} GiB{_because(self.memory_limit)}"
        return f"{self.name}: {self.cpus} CPU{_because(self.cpu_limit)}, {self.gpus} GPU{memory}"


@dataclass(frozen=True)
class Plan:
    """How many trials run at a time, and on what.

    ``limited_by`` says what limits ``at_a_time``; ``cpus`` and ``gpus`` are those of one trial.
    """

    at_a_time: int
    limited_by: str
    cpus: int
    gpus: float

    def __str__(self) -> str:
        share = f"({self.cpus} CPU, {self.gpus:g} GPU per trial)"
        return f"{counted(self.at_a_time, 'trial')} at a time, limited by {self.limited_by} {share}"


def _because(limit: str) -> str:
    return f" ({limit})" if limit else ""


def this_machine() -> Node:
    """Return what this machine offers this process: CPU cores, the GPUs PyTorch sees, memory.

    Cores and memory are what control groups (a container's, a batch job's) allow, if that is less. Memory is infinite
    if its size is unknown.
    """
    cpus, memory = usable_cpus(), usable_memory()
    size, limit = (math.inf, "") if memory is None else (memory.amount / 2**30, memory.limit)
    return Node("this machine", cpus.amount, torch.cuda.device_count(), size, cpus.limit, limit)


def plan_trials(nodes: Sequence[Node], sweep: SweepConfig, waiting: int, *, may_grow: bool = False) -> Plan:
    """Return how many trials run at a time; a trial never spans two nodes.

    ``waiting`` is the number of trials still to run. ``may_grow``: the cluster adds nodes when trials wait for them, so
    nothing is refused.

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
        offered = f"there is only {'; '.join(str(node) for node in nodes)}" if nodes else "there is no node"
        raise SweepError(
            f"a trial asks for {cpus} CPU, {gpus:g} GPU and {memory:g} GiB of memory on one node, but "
            f"{offered}; lower cpus_per_trial, gpus_per_trial or memory_per_trial"
        )
    least = min(slots, key=lambda kind: sum(slots[kind]))
    known = {"CPU": {node.cpu_limit for node in nodes}, "memory": {node.memory_limit for node in nodes}}
    because = sorted(known.get(least, set()) - {""})
    limits = {", ".join([least, *because]): _MANY if may_grow else fitting}
    if sweep.max_concurrent is not None:
        limits["max_concurrent"] = sweep.max_concurrent
    limits["the number of trials"] = max(waiting, 1)
    limited_by = min(limits, key=lambda name: limits[name])
    return Plan(limits[limited_by], limited_by, cpus, gpus)


def plan_training(nodes: Sequence[Node], sweep: SweepConfig, waiting: int, *, may_grow: bool = False) -> Plan:
    """Return how many trials train at a time, as :func:`plan_trials` does; refuse a GPU-hour limit without GPUs.

    Raises:
        SweepError: no node can give what one trial asks for, or GPU-hours are limited and trials use no GPU.
    """
    plan = plan_trials(nodes, sweep, waiting, may_grow=may_grow)
    if sweep.gpu_hours is not None and not plan.gpus:
        raise SweepError(
            "sweep.gpu_hours limits GPU-hours, but trials use no GPU; leave it out, and limit --hours instead"
        )
    return plan


def _gpu_slots(gpus: int, wanted: float) -> int:
    """Return how many trials fit on a node's GPUs; a fraction never straddles two GPUs."""
    if wanted >= 1:
        return gpus // int(wanted)
    return gpus * int(1 / wanted + 1e-9)
