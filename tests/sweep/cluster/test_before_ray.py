"""What Ray would stumble over, said before it is started."""

import os

import pytest

from iafsweep.errors import SweepError
from iafsweep.limits import Share
from iafsweep.sweep.cluster.health_check import check_before_ray, process_limit
from iafsweep.sweep.cluster.ray_session import running_ray
from iafsweep.sweep.cluster.resources import Node


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """A user with a home, no token yet, and nothing said of folders."""
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("ray.init", None)
    monkeypatch.setattr("ray.is_initialized", lambda: False)  # whatever other tests have started


def longest():
    return 107 - len(f"/session_2026-01-01_00-00-00_123456_{os.getpid()}/sockets/plasma_store")


def test_folders_too_long_for_sockets_are_refused_in_bytes():
    check_before_ray("/" + "x" * (longest() - 1))
    for name in ("x" * longest(), "ä" * (longest() // 2 + 1)):
        with pytest.raises(
            SweepError,
            match=rf"--ray-folder gives Ray the folder /{name}, .* bytes .* 107 bytes, .* leave {longest()};",
        ):
            check_before_ray(f"/{name}")


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
def test_folders_that_the_environment_names_are_looked_at_too(monkeypatch, name):
    """Ray puts ``/ray`` behind them."""
    monkeypatch.setenv(name, "/" + "x" * (longest() - 5))
    check_before_ray(None)
    monkeypatch.setenv(name, "/" + "x" * (longest() - 4))
    with pytest.raises(
        SweepError, match=rf"^{name} gives Ray the folder /x*/ray, .* {longest() + 1} bytes.*--ray-folder /tmp/ray"
    ):
        check_before_ray(None)
    check_before_ray("/tmp/ray")
    monkeypatch.setenv("RAY_TMPDIR", "/short")  # it is the one that Ray looks at first
    check_before_ray(None)


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/nobody"])
def test_a_home_that_cannot_be_written(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests may run as root
    with pytest.raises(SweepError, match=rf"{home}/.ray/auth_token, .* set RAY_AUTH_TOKEN to .*--ray-folder: a token"):
        with running_ray(Node("this machine", 1, 0)):
            pass
    check_before_ray("/tmp/ray")
    drawn = os.environ["RAY_AUTH_TOKEN"]
    assert len(drawn) == 64
    check_before_ray(None)
    assert os.environ["RAY_AUTH_TOKEN"] == drawn
    del os.environ["RAY_AUTH_TOKEN"]  # by its own hand: monkeypatch would put it back for the tests behind


def test_a_token_that_is_there_is_enough(monkeypatch, tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK)
    check_before_ray(None)
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_limit_of_processes_is_named(monkeypatch):
    left = [Share(74, "the limit of 80 per user (`ulimit -u`)")]
    monkeypatch.setattr("iafsweep.sweep.cluster.health_check.processes_left", lambda: left[0])
    with pytest.raises(SweepError, match=r"the limit of 80 per user \(`ulimit -u`\) leaves 74; raise that limit"):
        check_before_ray(None)
    left[0] = Share(400, "the limit of 500")
    check_before_ray(None)
    assert process_limit() == "; the limit of 500 leaves 400 processes and threads, which may be too few"
    left[0] = Share(10_000, "the limit of 20000")
    assert process_limit() == ""
