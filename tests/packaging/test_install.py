"""What make installs: exact versions that pyproject.toml allows, whatever pip and uv are set to elsewhere."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.install import environment, mirror

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUN, DEV, UV = ((ROOT / "requirements" / f"{name}.txt").read_text() for name in ("run", "dev", "uv"))


def locked(*texts):
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", "\n".join(texts), re.M))


def wanted(*requirements):
    """Those of a list, and of the package's own extras that it names."""
    extras = PROJECT["project"]["optional-dependencies"]
    for each in map(Requirement, requirements):
        if each.name == "iafsweep":
            yield from wanted(*(name for extra in each.extras for name in extras[extra]))
        else:
            yield each


def test_the_locked_versions_are_allowed():
    groups, project = PROJECT["dependency-groups"], PROJECT["project"]
    for requirements, versions in (
        (project["dependencies"] + groups["build"], locked(RUN)),
        (project["optional-dependencies"]["dev"], locked(RUN, DEV)),
        (groups["uv"], locked(UV)),
    ):
        for each in wanted(*requirements):
            assert each.specifier.contains(versions[each.name]), f"{each}: make lock"


def test_a_sweep_installs_no_more_than_it_needs():
    run, dev = set(locked(RUN)), set(locked(DEV))
    assert not run & dev
    assert {"torch", "ray", "hatchling"} <= run
    assert {"pythae", "nflows", "zuko", "pytest", "mypy", "ruff", "matplotlib"} <= dev


@pytest.mark.parametrize("text", [RUN, DEV, UV])
def test_each_version_has_hashes_and_none_a_place(text):
    assert "://" not in text
    blocks = re.split(r"(?<!\\)\n", text.strip())
    for block in blocks:
        assert re.fullmatch(r"[a-z0-9.-]+==\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", block), block


def test_settings_of_a_user(monkeypatch):
    monkeypatch.setenv("UV_CONSTRAINT", "mine.txt")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_PROXY", "http://127.0.0.1:9")
    variables = environment()
    assert "UV_CONSTRAINT" not in variables
    assert (variables["PIP_USER"], variables["PIP_PROXY"]) == ("0", "http://127.0.0.1:9")


@pytest.mark.slow
def test_uv_is_told_of_the_mirror_that_pip_knows(tmp_path):
    pip = [sys.executable, "-m", "pip"]
    settings = tmp_path / "pip.conf"
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    bare["PIP_CONFIG_FILE"] = str(settings)
    settings.write_text("[install]\nno-compile = no\n")
    assert mirror(pip, bare) == {}
    settings.write_text(
        "[global]\nindex-url = http://127.0.0.1:9/all\n[install]\nindex-url = http://127.0.0.1:9/simple\n"
    )
    assert mirror(pip, bare) == {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple"}
    bare["PIP_INDEX_URL"] = "http://127.0.0.1:9/other"
    assert mirror(pip, bare) == {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/other"}
    assert mirror(pip, {**bare, "UV_DEFAULT_INDEX": "http://127.0.0.1:9/uv"}) == {}


def wheel(folder):
    """Write a wheel of a package of one module."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "")
        for name, text in about.items():
            archive.writestr(f"tiny-1.0.dist-info/{name}", text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.slow
def test_pip_installs_the_same_files_where_uv_cannot_be_had(tmp_path):
    """From a folder of wheels, without an index, under settings that would each break it."""
    pytest.importorskip("editables")  # of environments that were made before it was locked
    digest, home = wheel(tmp_path), tmp_path / "environment"
    (tmp_path / "run.txt").write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
    (tmp_path / "broken.txt").write_text(f"tiny==2.0 --hash=sha256:{digest}\n")
    (tmp_path / "mine.txt").write_text("tiny==2.0\n")
    (tmp_path / "pip.conf").write_text(f"[global]\nconstraint = {tmp_path / 'mine.txt'}\nuser = yes\n")
    venv.create(home)
    python, packages = home / "bin" / "python", next((home / "lib").glob("python*/site-packages"))
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))  # has pip and hatchling
    hostile = {
        "PIP_CONFIG_FILE": tmp_path / "pip.conf", "PIP_NO_INDEX": 1, "PIP_FIND_LINKS": tmp_path, "PIP_USER": 1,
        "PIP_REQUIRE_VIRTUALENV": 1, "PIP_REQUIRE_HASHES": 1, "PIP_NO_BINARY": ":all:", "PIP_TARGET": tmp_path / "no",
        "PIP_CONSTRAINT": tmp_path / "mine.txt", "PYTHONPATH": "",
    }  # fmt: skip
    words = {**os.environ, **{name: str(value) for name, value in hostile.items()}}

    def install(file):
        command = [python, "-m", "tools.install", tmp_path / file]
        return subprocess.run(command, cwd=ROOT, env=words, capture_output=True, text=True, check=False)

    done = install("run.txt")
    assert done.returncode == 0, done.stderr
    assert "pip now installs the same versions" in done.stderr
    assert (packages / "tiny.py").exists()
    assert (home / "bin" / "iafsweep-sweep").exists()
    broken = install("broken.txt")
    assert broken.returncode == 1
    assert "To install any versions that pyproject.toml allows: " in broken.stderr


@pytest.mark.slow
@pytest.mark.full_install
@pytest.mark.timeout(3000)
def test_make_in_a_clone(tmp_path):
    """6 GB from the index: what a sweep needs, then the rest, under constraints of a user's own."""
    clone, mine = tmp_path / "clone", tmp_path / "mine.txt"
    mine.write_text("torch<2\nnumpy<2\n")
    hostile = {"PIP_CONSTRAINT": mine, "UV_CONSTRAINT": mine, "UV_TORCH_BACKEND": "cpu", "UV_SYSTEM_PYTHON": 1}
    words = {**os.environ, **{name: str(value) for name, value in hostile.items()}, "PYTHONPATH": ""}
    python = clone / ".venv" / "bin" / "python"
    try:
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        for stamp, there in ((".installed", ("torch", "ray")), (".installed-dev", ("pytest", "nflows"))):
            subprocess.run(["make", f"PYTHON={sys.executable}", f".venv/{stamp}"], cwd=clone, env=words, check=True)
            subprocess.run([python, "-m", "pip", "check"], cwd=clone, env=words, check=True)
            for name in there:
                subprocess.run([python, "-c", f"import {name}"], cwd=clone, env=words, check=True)
        subprocess.run([python, "run_sweep.py", "preview", "quick", "--count", "1"], cwd=clone, env=words, check=True)
    finally:
        shutil.rmtree(clone, ignore_errors=True)
