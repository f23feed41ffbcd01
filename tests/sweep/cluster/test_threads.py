"""A process has one Ray, so launches in two of its threads come one after the other."""

import threading
from contextlib import ExitStack

import ray

from iafsweep.sweep.cluster import ray_session
from iafsweep.sweep.cluster.resources import Node

NODE = Node("this machine", 1, 0)


def test_a_second_thread_waits_until_the_first_has_left_ray(monkeypatch):
    up, told = [], []
    monkeypatch.setattr(ray_session, "_ONE_AT_A_TIME", threading.RLock())  # the tests' own Ray may hold the other
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(up))
    monkeypatch.setattr(ray, "shutdown", up.clear)
    monkeypatch.setattr(ray_session, "_start_or_join", lambda *_: up.append(threading.current_thread().name))
    monkeypatch.setattr(ray_session, "_ray_nodes", lambda here: [here])
    monkeypatch.setattr(ray_session, "_check_environment", lambda allowed: None)

    def second():
        with ray_session.running_ray(NODE):
            told.append(list(up))

    thread = threading.Thread(target=second, name="second")
    with ExitStack() as stack:
        stack.enter_context(ray_session.running_ray(NODE))
        with ray_session.running_ray(NODE):  # the same thread's, as scoring within a launch
            thread.start()
            thread.join(0.2)
        assert up
        assert told == []
    thread.join(10)
    assert told == [["second"]]
    assert up == []
