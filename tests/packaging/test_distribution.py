"""Wheel and source distribution: built, looked into, installed in a folder of their own, and used from there."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.cli.tiny_run import CONFIG
from tools.minimum_versions import lower_bounds

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command, cwd, **variables):
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source, into):
    """Build both as a front end would, in a process of their own."""
    into.mkdir()
    code = "import sys; from hatchling import build; build.build_{}(sys.argv[1])"
    for kind in ("wheel", "sdist"):
        run(sys.executable, "-c", code.format(kind), into, cwd=source)
    (wheel,), (sdist,) = into.glob("*.whl"), into.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("dist") / "out")


def tracked(*patterns):
    names = run("git", "ls-files", *patterns, cwd=ROOT).split("\n")
    return {name for name in names if name}


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_data_and_the_search_spaces(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    expected = tracked("iafsweep") | {f"iafsweep/{name}" for name in tracked("search_spaces")}
    assert expected <= names
    assert {"iafsweep/py.typed", "iafsweep/search_spaces/quick.toml"} <= names
    assert sum(name.endswith(".xz") for name in names) == 2
    assert all(name.startswith(("iafsweep/", "iafsweep-")) for name in names)
    assert not [name for name in names if "__pycache__" in name]
    commands = (
        zipfile.ZipFile(built[0]).read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    )
    assert "iafsweep-run = " in commands
    assert "iafsweep-sweep = " in commands


@pytest.mark.slow
def test_the_source_distribution_builds_the_same_wheel(built, tmp_path):
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for name in ("tests/oracles.py", "docs/estimators.md", "Makefile", "LICENSE", "run_sweep.py", "CHANGELOG.md"):
        assert (source / name).is_file(), name
    wheel, _ = build(source, tmp_path / "again")
    ours, theirs = zipfile.ZipFile(built[0]), zipfile.ZipFile(wheel)
    assert sorted(ours.namelist()) == sorted(theirs.namelist())
    for name in ours.namelist():
        if not name.endswith("RECORD"):
            assert ours.read(name) == theirs.read(name), name


@pytest.mark.slow
def test_the_wheel_works_in_a_folder_of_its_own(built, tmp_path):
    """The package from the wheel alone, with what it depends on from this environment: not another 6 GB of PyTorch."""
    target, home = tmp_path / "target", tmp_path / "home"
    home.mkdir()
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, built[0], cwd=home)
    variables = {"PYTHONPATH": target, "PATH": f"{target / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    where = run(sys.executable, "-c", "import iafsweep; print(iafsweep.__file__)", cwd=home, **variables)
    assert where.strip() == str(target / "iafsweep" / "__init__.py")
    shown = run(target / "bin" / "iafsweep-sweep", "preview", "quick", "--count", 2, cwd=home, **variables)
    assert "How deep should a flow be" in shown
    (home / "smoke.toml").write_text(CONFIG)
    short = ("--set", "training.epochs=1", "--set", "training.kl_warmup_epochs=0")
    run(target / "bin" / "iafsweep-run", "smoke.toml", "--run", "run", "--threads", 1, *short, cwd=home, **variables)
    run(target / "bin" / "iafsweep-run", "--run", "run", "--export", "model", cwd=home, **variables)
    code = "import iafsweep; print(tuple(iafsweep.load_run('model').model.sample(3).shape))"
    assert run(sys.executable, "-c", code, cwd=home, **variables).strip() == "(3, 1, 28, 28)"
    assert sorted(path.name for path in home.iterdir()) == ["model", "run", "smoke.toml"]


@pytest.mark.slow
@pytest.mark.full_install
@pytest.mark.timeout(3000)
def test_an_empty_environment(built, tmp_path):
    """`pip install` of the wheel with everything it needs (6 GB from the index); the environment is removed after."""
    environment = tmp_path / "environment"
    try:
        run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
        run(environment / "bin" / "pip", "install", "--quiet", "--no-cache-dir", built[0], cwd=tmp_path, PYTHONPATH="")
        shown = run(
            environment / "bin" / "iafsweep-sweep", "preview", "quick", "--count", 1, cwd=tmp_path, PYTHONPATH=""
        )
        assert "How deep should a flow be" in shown
        run(environment / "bin" / "pip", "check", cwd=tmp_path, PYTHONPATH="")
    finally:
        shutil.rmtree(environment, ignore_errors=True)


@pytest.mark.slow
def test_the_lowest_versions_that_are_allowed_go_together():
    """uv, which reads the index without downloading packages, finds a set with every dependency at its lower bound."""
    # Where pip puts it, whether or not the environment is activated, then wherever else it may be.
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv is None:
        pytest.skip("uv is not installed: .venv/bin/pip install uv")
    words = ("--quiet", "--no-header", "--no-annotate", "--resolution", "lowest-direct", "--python", sys.executable)
    found = run(uv, "pip", "compile", *words, "pyproject.toml", cwd=ROOT).splitlines()
    for bound in lower_bounds():
        name, version = re.sub(r"\[.*\]", "", bound).split("==")
        assert re.search(rf"^{name}=={re.escape(version)}(\.[0-9]+)*$", "\n".join(found), re.M), bound


def test_every_dependency_has_a_lower_bound():
    bounds = lower_bounds()
    assert len(bounds) == len(PROJECT["dependencies"])
    assert "safetensors==0.5" in bounds
    assert "ray[tune]==2.60" in bounds
    assert all(bound.count("==") == 1 for bound in bounds)


def test_the_version_and_the_python_are_stated_once():
    assert PROJECT["requires-python"] == ">=3.11"
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "iafsweep" / "py.typed").is_file()
    assert set(PROJECT["scripts"]) == {"iafsweep-run", "iafsweep-sweep"}
