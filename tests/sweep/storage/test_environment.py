import os
import socket
import subprocess
from pathlib import Path

import pytest

import iafsweep
from iafsweep.sweep.storage import environment
from iafsweep.sweep.storage.environment import _commit, read_environments, record_environment, this_environment


def git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def package(tmp_path):
    """A package in a repository of its own."""
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(package.parent, "init")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "first")
    return package


def test_each_driver_adds_a_line(tmp_path):
    path = tmp_path / "environment.jsonl"
    record_environment(path)
    record_environment(path)
    with path.open("a") as file:
        file.write('{"time": "cut o')
    first, second = read_environments(path)
    assert first.packages == second.packages
    assert {"torch", "ray", "optuna", "iafsweep"} <= set(first.packages)
    assert read_environments(tmp_path / "none") == ()


def test_a_line_cut_off_by_a_kill_costs_itself_alone(tmp_path):
    path = tmp_path / "environment.jsonl"
    record_environment(path)
    with path.open("a") as file:
        file.write('{"time":"2026-01-01T0')
    record_environment(path)
    record_environment(path)
    assert len(read_environments(path)) == 3


def test_it_tells_nothing_of_the_machine():
    text = this_environment().model_dump_json()
    for secret in (socket.gethostname(), os.getcwd(), str(Path.home())):
        assert len(secret) < 3 or secret == "root" or secret not in text


def test_the_commit_is_asked_of_the_whole_package(monkeypatch):
    asked = []
    monkeypatch.setattr(environment, "_commit", lambda package: (asked.append(package), (None, None))[1])
    this_environment()
    assert asked == [Path(iafsweep.__file__).parent]


def test_a_full_disk_costs_the_line_alone(tmp_path):
    record_environment(tmp_path / "no folder" / "environment.jsonl")


def test_the_commit_and_whether_files_differ_from_it(package):
    head = git(package, "rev-parse", "HEAD")
    assert _commit(package) == (head, False)
    (package / "new.py").write_text("")  # nobody imports it yet
    assert _commit(package) == (head, False)
    (package / "__init__.py").write_text("changed")
    assert _commit(package) == (head, True)


def test_the_repository_around_an_installed_package_is_not_the_programs(package):
    installed = package.parent / ".venv" / "iafsweep"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert _commit(installed) == (None, None)


def test_without_git(package, monkeypatch):
    monkeypatch.setattr(
        environment.subprocess, "run", lambda *words, **options: (_ for _ in ()).throw(FileNotFoundError)
    )
    assert _commit(package) == (None, None)
