"""Ray's environment and its start.

Its daemons (GCS, raylet, monitors) get process groups of their own. A terminal's Ctrl-C, GNU ``timeout`` and batch
queues signal the driver's whole group; without its daemons, the driver could neither let trials save nor end. In their
own groups they survive such a signal, as do the trials' processes, which are the raylet's children. When the driver is
killed, the kernel still ends them: that goes by parent, not by group.
"""

import logging
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cache

import ray

from iafsweep.errors import SweepError
from iafsweep.signals import keeping_handlers
from iafsweep.sweep.cluster.health_check import check_before_ray, check_cluster, process_limit
from iafsweep.sweep.cluster.resources import Node

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_prestart_worker_first_driver": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "10",
}
"""Settings of Ray and Tune, unless the user's environment has them: no usage reports to Ray's makers, workers that
stay in the driver's directory, no processes started in advance (Tune's trials have an environment of their own and
cannot use them), none of Tune's own files and prints, its state (never read back here) written rarely.
RAY_AUTH_MODE is left alone: unset, Ray 2.60 turns token authentication on for a cluster it starts; set to ``token``
after ``import ray`` it would find no token."""

_OBJECT_STORE_BYTES = 512 * 2**20

_ONE_AT_A_TIME = threading.RLock()
"""A process has one Ray: a second thread that used it would lose it when the thread that started it shuts it down."""


@contextmanager
def running_ray(
    node: Node,
    *,
    address: str | None = None,
    temporary: str | None = None,
    allow_no_authentication: bool = False,
    dashboard: bool = False,
) -> Iterator[list[Node]]:
    """Start Ray on this machine, or join a cluster; yield its nodes, and leave it at the end.

    If Ray already runs in this process, it is used and left running. Another thread waits until this one has left it.
    ``node`` is what this machine may use; the other arguments are as in ``LaunchOptions``.

    Raises:
        SweepError: authentication is off, something keeps Ray from starting (:func:`check_before_ray`), Ray does not
            start, or no cluster answers.
        Terminated: SIGTERM or SIGHUP came while Ray started.
    """
    _check_environment(allow_no_authentication)
    here = node if address is None else None
    with _ONE_AT_A_TIME, _environment():
        if ray.is_initialized():
            yield _ray_nodes(here)
            return
        _start_or_join(node, address, temporary, dashboard)
        try:
            yield _ray_nodes(here)
        finally:
            ray.shutdown()


@contextmanager
def _environment() -> Iterator[None]:
    """Set :data:`_ENVIRONMENT` for Ray and Tune inside the block only; the caller may use both for other things.

    Ray itself sets RAY_AUTH_MODE to ``token`` there; a later start would find no token if that were still set.
    """
    before = _variables()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logger = logging.getLogger("ray")
    level = logger.level
    try:
        yield
    finally:
        logger.setLevel(level)
        for name in _variables():
            del os.environ[name]
        os.environ.update(before)


def _variables() -> dict[str, str]:
    """Return the environment variables of Ray and Tune."""
    return {name: value for name, value in os.environ.items() if name.startswith(("RAY_", "TUNE_"))}


def _start_or_join(node: Node, address: str | None, temporary: str | None, dashboard: bool) -> None:
    if address is None:
        check_before_ray(temporary)
    else:
        check_cluster(address)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with own_process_groups(), keeping_handlers():
                _start(node, address, temporary, dashboard)
    except Exception as error:  # Ray raises a bare Exception when a node does not come up in time
        what = "start Ray" if address is None else f"join the Ray cluster at {address}"
        raise SweepError(f"cannot {what}: {error}{process_limit()}") from error


def _check_environment(allow_no_authentication: bool) -> None:
    mode = os.environ.get("RAY_AUTH_MODE", "token")
    if mode.lower() != "token" and not allow_no_authentication:
        raise SweepError(
            f"RAY_AUTH_MODE={mode} turns Ray's token authentication off, while its services listen on all interfaces: "
            f"anyone who reaches this machine could run code on it; unset RAY_AUTH_MODE"
        )


def _start(node: Node, address: str | None, temporary: str | None, dashboard: bool) -> None:
    # Ray logs that authentication is on before it applies logging_level.
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


def _ray_nodes(here: Node | None) -> list[Node]:
    """Return Ray's nodes; ``here``, given if Ray runs on this machine alone, has limits that Ray does not see."""
    nodes = []
    for entry in ray.nodes():  # type: ignore[no-untyped-call]
        resources = entry["Resources"]
        if entry["Alive"] and resources.get("CPU", 0) >= 1:
            # Ray's memory is what was free when it started, without the share of its object store.
            memory = (resources.get("memory", 0.0) + resources.get("object_store_memory", 0.0)) / 2**30
            cpus, gpus = int(resources["CPU"]), int(resources.get("GPU", 0))
            nodes.append(Node(entry["NodeManagerAddress"], cpus, gpus, memory or math.inf))
    if here is not None and len(nodes) == 1:
        cpus, memory = min(nodes[0].cpus, here.cpus), min(nodes[0].memory, here.memory)
        return [replace(here, name=nodes[0].name, cpus=cpus, gpus=nodes[0].gpus, memory=memory)]
    return nodes


_asked: ContextVar[bool] = ContextVar("own process groups for new children", default=False)


@contextmanager
def own_process_groups() -> Iterator[None]:
    """Put every process that this thread starts meanwhile, if it runs Python before its program, in a group of its own.

    Ray starts its daemons with a ``preexec_fn``, and in such children Python calls the functions registered for forks.
    """
    _register()
    token = _asked.set(True)
    try:
        yield
    finally:
        _asked.reset(token)


@cache
def _register() -> None:
    os.register_at_fork(after_in_child=_leave_group)  # only once: it cannot be unregistered


def _leave_group() -> None:
    if _asked.get():
        os.setpgrp()
