"""Ray's environment and start, and the check that what is asked for can be given before anything waits for it."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ray
import torch

from iafsweep.errors import SweepError
from iafsweep.sweep.joining import check_cluster
from iafsweep.sweep.own_groups import own_process_groups
from iafsweep.sweep.settings import SweepConfig
from iafsweep.sweep.signals import keeping_handlers
from iafsweep.training.memory import device_memory

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "10",
}
"""What Ray and Tune are told through the environment, unless the user set it: no reports to Ray's makers, workers that
stay in the driver's directory, none of Tune's own files and prints, its state (never read back here) written rarely.
RAY_AUTH_MODE is left alone: unset, Ray 2.60 turns token authentication on for a cluster it starts; set to ``token``
after ``import ray`` it would find no token."""
_OBJECT_STORE_BYTES = 512 * 2**20
_MANY = 10**9
_LONGEST_TEMPORARY = 60
"""Ray puts sockets below its temporary folder, and a socket's path may have some 107 characters."""


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


@contextmanager
def running_ray(
    node: Node,
    *,
    address: str | None = None,
    temporary: str | None = None,
    allow_no_authentication: bool = False,
    dashboard: bool = False,
) -> Iterator[list[Node]]:
    """Start Ray on this machine, or join a cluster; yields its nodes, and leaves it at the end.

    A Ray that runs in this process already is used and left running.

    Args:
        node: what this machine may use.
        address: a running cluster to join, such as ``10.0.0.1:6379`` or ``auto``.
        temporary: folder for Ray's sockets and logs, on a disk with room; None: Ray's own.
        allow_no_authentication: start even though the environment turns token authentication off.
        dashboard: start Ray's dashboard, for this machine's own browsers alone.

    Raises:
        SweepError: authentication is off, the temporary folder's path is too long, Ray does not start, or no cluster
            answers.
        Terminated: SIGTERM came while Ray started.
    """
    _check_environment(temporary, allow_no_authentication)
    if ray.is_initialized():
        yield _ray_nodes()
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address is not None:
        check_cluster(address)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with own_process_groups(), keeping_handlers():
                _start(node, address, temporary, dashboard)
    except Exception as error:  # Ray raises a bare Exception when a node does not come up in time
        what = "start Ray" if address is None else f"join the Ray cluster at {address}"
        raise SweepError(f"cannot {what}: {error}") from error
    try:
        yield _ray_nodes()
    finally:
        ray.shutdown()


def _check_environment(temporary: str | None, allow_no_authentication: bool) -> None:
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode.lower() != "token" and not allow_no_authentication:
        raise SweepError(
            f"RAY_AUTH_MODE={mode} turns Ray's token authentication off, while its services listen on all interfaces: "
            f"anyone who reaches this machine could run code on it; unset RAY_AUTH_MODE"
        )
    if temporary is not None and len(os.path.abspath(temporary)) > _LONGEST_TEMPORARY:
        raise SweepError(
            f"the path of the temporary folder {temporary} has {len(os.path.abspath(temporary))} characters, Ray's "
            f"sockets allow {_LONGEST_TEMPORARY}; name a shorter one"
        )


def _start(node: Node, address: str | None, temporary: str | None, dashboard: bool) -> None:
    # Ray says that authentication is on before it looks at logging_level.
    logging.getLogger("ray").setLevel(logging.ERROR)
    if address is not None:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        return
    ray.init(
        address="local",
        num_cpus=node.cpus,
        num_gpus=node.gpus,
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=None if temporary is None else os.path.abspath(temporary),
        include_dashboard=dashboard,
        dashboard_host="127.0.0.1",
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _ray_nodes() -> list[Node]:
    nodes = []
    for entry in ray.nodes():  # type: ignore[no-untyped-call]
        resources = entry["Resources"]
        if entry["Alive"] and resources.get("CPU", 0) >= 1:
            # Ray counts as memory what was free when it started, besides its object store.
            memory = (resources.get("memory", 0.0) + resources.get("object_store_memory", 0.0)) / 2**30
            cpus, gpus = int(resources["CPU"]), int(resources.get("GPU", 0))
            nodes.append(Node(entry["NodeManagerAddress"], cpus, gpus, memory or math.inf))
    return nodes
