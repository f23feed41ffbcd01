"""Shared by all tests: what is skipped where, one Ray for the whole run."""

import functools
import gc
import os
import re
import signal
import sys
from pathlib import Path

import pytest

# Before torch is imported and whatever the shell says: the tests are tiny, and runs bit-equal only on as many threads.
os.environ["OMP_NUM_THREADS"] = "1"
# Under nohup it is ignored, by all processes that are started too, and tests that send it would wait.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)  # likewise, in the background of a shell's script
# Where it is set, as in many containers, each of some hundred processes would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With ``--dist loadfile`` the files whose tests need Ray go to one process, so that one Ray is started."""
    from xdist.scheduler import LoadFileScheduling

    @functools.cache
    def needs_ray(file):
        return bool(re.search(r"def test_\w+\([^)]*\bray_cluster\b", (config.rootpath / file).read_text()))

    class RayTogether(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "Ray" if needs_ray(file) else file

    return RayTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items):
    if not os.environ.get("IAFSWEEP_FULL_INSTALL"):
        not_asked = pytest.mark.skip(reason="IAFSWEEP_FULL_INSTALL is not set: it would install 6 GB")
        for item in items:
            if item.get_closest_marker("full_install"):
                item.add_marker(not_asked)
    root = os.environ.get("IAFSWEEP_DATA")
    if root and (Path(root) / "MNIST" / "raw").is_dir():
        return
    skip = pytest.mark.skip(reason="IAFSWEEP_DATA does not name a folder with the full MNIST files")
    for item in items:
        if item.get_closest_marker("full_mnist"):
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def unpacked_once():
    """The images of ``mnist_mini`` are unpacked once, not for each of some hundred tests that load them."""
    from iafsweep.data import mnist_mini

    read = mnist_mini._read

    @functools.cache
    def once(folder, name, images):
        return read(name, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist_mini, "_read", lambda *which: once(mnist_mini.FOLDER, *which).clone())
        yield


@pytest.fixture(scope="session", autouse=True)
def packed_quickly():
    """Pictures are packed as quickly as PNG allows: at its usual level that is much of what a tiny run costs."""
    from PIL import Image

    save = Image.Image.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "save", lambda *where, **how: save(*where, **{"compress_level": 1} | how))
        yield


def pytest_sessionfinish():
    gc.unfreeze()  # trials made in this process froze what was there; extensions complain if it is left so at exit


@pytest.fixture(scope="session")
def ray_cluster():
    """One Ray for the whole run: two CPUs, token authentication on, as a sweep starts it."""
    from iafsweep.sweep.cluster.ray_session import running_ray
    from iafsweep.sweep.cluster.resources import Node

    os.environ.setdefault("RAY_worker_niceness", "0")  # else the tests' own processes leave Ray's little time
    with running_ray(Node("this machine", 2, 0)) as nodes:
        yield nodes


@pytest.fixture
def run_sweep(monkeypatch, tmp_path, capsys):
    """``run_sweep.py WORDS`` in this process: its exit code, and what it printed to both outputs."""
    from iafsweep.cli import sweep

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["run_sweep.py", *map(str, words)])
        try:
            sweep.main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run
