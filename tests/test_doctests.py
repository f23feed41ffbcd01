"""Every example in a docstring of the package, and those of the README, do what they say."""

import doctest
import importlib
import re
import shutil
from pathlib import Path

import pytest

from tests.finished import finish_run, finish_sweep
from tests.rehearsal.recorded import record_sweep

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "iafsweep").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a run and a sweep under the names that examples use."""
    home = tmp_path_factory.mktemp("home")
    finish_run(home / "runs" / "best")
    shutil.copytree(home / "runs" / "best", home / "runs" / "scored")  # figures are added to it
    finish_sweep(home / "runs" / "quick-1")
    record_sweep(home / "runs" / "older" / "mine-1", count=20)
    return home


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, home, tmp_path, monkeypatch):
    (tmp_path / "runs").symlink_to(home / "runs")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    said = []
    for test in finder.find(module, name):
        runner.run(test, out=said.append)
    assert runner.tries > 0
    assert not said, "".join(said)


def test_what_a_user_calls_first_has_an_example():
    first = {f"iafsweep.api.{name}" for name in ("run", "spaces", "sweep", "train")}
    assert {"iafsweep", "iafsweep.config.files", "iafsweep.models.vae"} | first <= set(MODULES)


def test_the_python_of_the_readme_runs(home, tmp_path, monkeypatch):
    (tmp_path / "runs").symlink_to(home / "runs")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
