"""Shared by all tests: what is skipped where, one Ray for the whole run."""

import gc
import os
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    for item in items:
        # Tests of a file share its fixtures, and tests of the cluster one Ray: they stay in one process.
        group = "ray" if "ray_cluster" in item.fixturenames else item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    root = os.environ.get("IAFSWEEP_DATA")
    if root and (Path(root) / "MNIST" / "raw").is_dir():
        return
    skip = pytest.mark.skip(reason="IAFSWEEP_DATA does not name a folder with the full MNIST files")
    for item in items:
        if item.get_closest_marker("full_mnist"):
            item.add_marker(skip)


def pytest_sessionfinish():
    gc.unfreeze()  # trials made in this process froze what was there; extensions complain if it is left so at exit


@pytest.fixture(scope="session")
def ray_cluster():
    """One Ray for the whole run: two CPUs, token authentication on, as a sweep starts it."""
    from iafsweep.sweep.cluster import Node, running_ray

    with running_ray(Node("this machine", 2, 0)) as nodes:
        yield nodes
