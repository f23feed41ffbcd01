import math
import signal
import socket
import sys
import time
from contextlib import nullcontext

import pytest
import torch

from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError
from iafsweep.limits import Share
from iafsweep.signals import Terminated
from iafsweep.sweep.cluster.health_check import check_cluster
from iafsweep.sweep.cluster.ray_session import running_ray
from iafsweep.sweep.cluster.resources import Node, plan_trials, this_machine
from iafsweep.training.device import device_memory


def plan(nodes, waiting=100, **settings):
    return plan_trials([Node(f"n{i}", *node) for i, node in enumerate(nodes)], SweepConfig(**settings), waiting)


@pytest.mark.parametrize(
    ("nodes", "settings", "at_a_time", "limited_by"),
    [
        ([(2, 0)], {}, 2, "CPU"),
        ([(8, 4)], {}, 4, "GPU"),
        ([(8, 4)], {"gpus_per_trial": 0.5}, 8, "CPU"),
        ([(16, 4)], {"gpus_per_trial": 0.4}, 8, "GPU"),
        ([(16, 4)], {"gpus_per_trial": 0.33}, 12, "GPU"),
        ([(16, 1)], {"gpus_per_trial": 0.1}, 10, "GPU"),
        ([(8, 4)], {"gpus_per_trial": 2.0}, 2, "GPU"),
        ([(8, 4)], {"gpus_per_trial": 0.0}, 8, "CPU"),
        ([(8, 4)], {"cpus_per_trial": 4}, 2, "CPU"),
        ([(8, 4)], {"max_concurrent": 3}, 3, "max_concurrent"),
        ([(4, 3), (4, 3)], {"gpus_per_trial": 2.0}, 2, "GPU"),
        ([(8, 8, 3.5)], {}, 3, "memory"),
        ([(0, 0), (2, 2), (2, 2)], {}, 4, "CPU"),
    ],
)
def test_plan_states_how_many_and_what_limits(nodes, settings, at_a_time, limited_by):
    found = plan(nodes, **settings)
    assert (found.at_a_time, found.limited_by) == (at_a_time, limited_by)
    assert f"limited by {limited_by}" in str(found)


@pytest.mark.parametrize(("share", "memory"), [(Share(2**30, "a limit"), 1.0), (None, math.inf)])
def test_memory_of_this_machine_is_that_which_a_run_is_refused_by(monkeypatch, share, memory):
    """The control group's, a container's for example; unlimited where nothing tells of it."""
    for user in ("sweep.cluster.resources", "training.device"):
        monkeypatch.setattr(f"iafsweep.{user}.usable_memory", lambda: share)
    assert this_machine().memory == memory
    assert device_memory(torch.device("cpu")) == (share and share.amount)


def test_the_plan_says_what_limits_the_machine(monkeypatch):
    monkeypatch.setattr(
        "iafsweep.sweep.cluster.resources.usable_cpus", lambda: Share(1, "the CPU quota of control group /a")
    )
    monkeypatch.setattr(
        "iafsweep.sweep.cluster.resources.usable_memory", lambda: Share(3 * 2**29, "the memory limit of /a")
    )
    here = this_machine()
    found = str(plan_trials([here], SweepConfig(gpus_per_trial=0.0), 100))
    assert found.startswith("1 trial at a time, limited by CPU, the CPU quota of control group /a (1 CPU,")
    with pytest.raises(SweepError, match="only this machine: 1 CPU .the CPU quota of control group /a., 0 GPU, 1.5 G"):
        plan_trials([here], SweepConfig(cpus_per_trial=2), 100)
    with pytest.raises(SweepError, match=r"1.5 GiB \(the memory limit of /a\); lower"):
        plan_trials([here], SweepConfig(memory_per_trial=2.0), 100)


def test_limits_that_ray_does_not_see_hold_after_it_has_started(monkeypatch):
    ray_sees = {"Alive": True, "NodeManagerAddress": "10.0.0.1", "Resources": {"CPU": 8.0, "memory": 64 * 2.0**30}}
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr("ray.nodes", lambda: [ray_sees])
    here = Node("this machine", 2, 0, 1.5, "quota", "limit")
    with running_ray(here) as nodes:
        assert nodes == [Node("10.0.0.1", 2, 0, 1.5, "quota", "limit")]
    with running_ray(here, address="10.0.0.1:6379") as nodes:  # that cluster is not this machine
        assert nodes == [Node("10.0.0.1", 8, 0, 64.0)]


def test_a_cluster_that_grows_is_not_refused():
    sweep = SweepConfig(gpus_per_trial=4.0, max_concurrent=7)
    assert plan_trials([Node("n0", 2, 0)], sweep, 100, may_grow=True).at_a_time == 7


def test_no_more_at_a_time_than_trials():
    assert (
        str(plan([(8, 0)], waiting=1)) == "1 trial at a time, limited by the number of trials (1 CPU, 0 GPU per trial)"
    )


@pytest.mark.parametrize(
    ("nodes", "settings", "message"),
    [
        (
            [(2, 0)],
            {"gpus_per_trial": 1.0},
            "asks for 1 CPU, 1 GPU and 1 GiB of memory on one node, but there is only n0: 2 CPU, 0 GPU",
        ),
        (
            [(4, 1), (4, 1)],
            {"gpus_per_trial": 2.0},
            "2 GPU and 1 GiB of memory on one node, but there is only n0: 4 CPU, 1 GPU; n1",
        ),
        ([(2, 8)], {"cpus_per_trial": 3}, "asks for 3 CPU"),
        ([(2, 8, 3.5)], {"memory_per_trial": 4.0}, "4 GiB of memory on one node, but there is only n0"),
        ([], {}, "but there is no node"),
    ],
)
def test_what_no_node_can_give_is_refused_with_the_numbers(nodes, settings, message):
    with pytest.raises(SweepError, match=message):
        plan(nodes, **settings)


def test_ray_does_not_start_without_authentication(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr("ray.init", None)
    with pytest.raises(SweepError, match="RAY_AUTH_MODE=disabled turns Ray's token authentication off"):
        with running_ray(Node("this machine", 1, 0)):
            pass


@pytest.mark.parametrize("terminated", [False, True])
def test_sigterm_is_ours_again_once_ray_has_started(monkeypatch, terminated):
    """Ray's handler exits with 15 where 143 is said of SIGTERM, while it starts and ever after."""

    def start(*arguments):
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))
        if terminated:
            signal.raise_signal(signal.SIGTERM)

    for name, value in {
        "ray.is_initialized": lambda: False,
        "ray.shutdown": int,
        "_ray_nodes": lambda here: [],
        "_start": start,
    }.items():
        monkeypatch.setattr(f"iafsweep.sweep.cluster.ray_session.{name}", value)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) if terminated else nullcontext():
        with running_ray(Node("this machine", 1, 0)):
            assert signal.getsignal(signal.SIGTERM) is before
    assert signal.getsignal(signal.SIGTERM) is before


def test_authentication_is_on(ray_cluster):
    import os

    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    assert is_token_auth_enabled()
    assert os.environ.get("RAY_AUTH_MODE") == "token"
    assert [(node.cpus, node.gpus) for node in ray_cluster] == [(2, 0)]


def test_a_dead_cluster_is_refused_in_seconds():
    """Ray itself tries for 13 minutes; half a minute leaves room for a machine that is busy."""
    started = time.monotonic()
    with pytest.raises(SweepError, match=r"nothing listens at --address 127.0.0.1:1 .*Connection refused.*ray status"):
        check_cluster("127.0.0.1:1")
    with pytest.raises(
        SweepError, match="--address banana is not the address of a Ray cluster; write HOST:6379, or auto"
    ):
        check_cluster("banana")
    assert time.monotonic() - started < 30


def test_who_listens_but_is_no_cluster_is_refused(monkeypatch):
    monkeypatch.setattr("iafsweep.sweep.cluster.health_check._ANSWER_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SweepError, match=f"no Ray cluster answers at --address {address} within 2 s"):
            check_cluster(address)


def test_a_cluster_that_answers_is_joined(ray_cluster):
    import ray

    check_cluster(ray.get_runtime_context().gcs_address)
