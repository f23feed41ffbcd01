"""A program that uses the package is checked with its types: the lazy names are known, and a mistake is found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = """
from pathlib import Path
from typing import assert_type

import torch

import iafsweep

run = iafsweep.load_run("runs/best")
assert_type(run, iafsweep.Run)
assert_type(run.model, iafsweep.VAE)
assert_type(run.model.sample(3), torch.Tensor)
assert_type(run.log_likelihood(run.images("test", 3), samples=10), torch.Tensor)
assert_type(run.config.model.latent_size, int)
assert_type(run.export("models/best"), Path)
assert_type(iafsweep.load_sweep("runs/quick-1").best(), iafsweep.Run)
assert_type(iafsweep.load_sweeps("runs"), list[iafsweep.LoadedSweep])
config = iafsweep.load_config("reference").with_values({"training.epochs": 1})
assert_type(config, iafsweep.RunConfig)
assert_type(iafsweep.train(config, "runs/mine", progress="off"), iafsweep.Run)
space = iafsweep.SearchSpace(base=config, search={"model.flow.depth": iafsweep.integers(0, 8)}, trials=16)
assert_type(iafsweep.launch(space, "runs/sweep", gpus_per_trial=0.5).resume().extend(16), iafsweep.LoadedSweep)
{wrong}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "said"),
    [("", ""), ('run.images("tset")', "incompatible type \"Literal['tset']\""), ("run.modle", "modle")],
)
def test_a_program_is_checked(wrong, said, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM.replace("{wrong}", wrong))
    words = ["--strict", "--follow-imports=silent", "--cache-dir", str(ROOT / ".mypy_cache"), "program.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (not said), done.stdout
    assert said in done.stdout
