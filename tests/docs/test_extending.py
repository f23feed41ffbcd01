"""docs/extending.md is done to a copy of the repository; the tests it names are run there, and a model is trained."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
SMALL = (
    "data.source=mnist_mini", "data.validation_images=100", "model.latent_size=4", "model.encoder.kind=mlp",
    "model.encoder.mlp.hidden_sizes=[8]", "model.decoder.kind=mlp", "model.decoder.mlp.hidden_sizes=[8]",
    "model.flow.depth=1", "model.flow.made.width=8", "training.epochs=1", "training.batch_size=100",
    "training.kl_warmup_epochs=0", "evaluation.bound_images=10", "evaluation.importance_sampling.images=5",
    "evaluation.importance_sampling.samples=4", "evaluation.hais.images=5", "evaluation.hais.chains=2",
    "evaluation.hais.temperatures=2",
)  # fmt: skip
EVERY = ("models/test_registries.py", "config/test_no_dead_key.py")
# What the page need not name, but would notice a part that is not whole.
BESIDES = ("config/test_files.py", "docs/test_configuration.py", "docs/test_extending.py")


def hunks(diff):
    """Yield the file, the text to find in it and the text to put there, of every hunk."""
    for file, body in re.findall(r"^--- (.*?)\n(.*?)(?=^--- |\Z)", diff, re.M | re.S):
        for hunk in body.split("@@\n")[1:]:
            lines = hunk.splitlines()
            old = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
            new = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
            yield file, old, new


def apply(section, copy):
    for name, code in re.findall(r"^```python file=(\S+)\n(.*?)^```", section, re.M | re.S):
        (copy / name).write_text(code)
    for diff in re.findall(r"^```diff\n(.*?)^```", section, re.M | re.S):
        for file, old, new in hunks(diff):
            text = (copy / file).read_text()
            assert text.count(old) >= 1, f"{file} has no longer:\n{old}"
            (copy / file).write_text(text.replace(old, new, 1))


def test_every_hunk_still_fits():
    for section in SECTIONS.values():
        for diff in re.findall(r"^```diff\n(.*?)^```", section, re.M | re.S):
            for file, old, new in hunks(diff):
                text = (ROOT / file).read_text()
                assert old in text or new in text, f"{file} has no longer:\n{old}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "tests", "settings"),
    [
        ("An encoder", ["models/test_networks.py", *EVERY], ["model.encoder.kind=linear"]),
        ("A flow", ["models/test_flows.py", *EVERY], ["model.flow.kind=scaling"]),
        ("A data set", ["data/test_every_source.py"], ["data.source=stripes"]),
    ],
)
def test_what_the_page_says_works(title, tests, settings, tmp_path):
    copy = tmp_path / "copy"
    for name in ("iafsweep", "tests", "search_spaces", "tools", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "run_single.py"):
        shutil.copy(ROOT / name, copy / name)
    apply(SECTIONS[title], copy)
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=250,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    for name in tests:
        assert f"tests/{name}" in SECTIONS[title]
    run("-m", "tools.configuration_page")
    paths = [f"tests/{name}" for name in (*tests, *BESIDES)]
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *paths)
    run("-m", "ruff", "check", ".")
    sets = [word for each in (*SMALL, *settings) for word in ("--set", each)]
    assert "nats per image" in run("run_single.py", "reference", "--run", "run", *sets)
