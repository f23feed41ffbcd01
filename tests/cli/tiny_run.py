"""A configuration that trains and scores in a second, and `run_single.py` in this process or in one of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from iafsweep.cli import single

ROOT = Path(__file__).parents[2]
WITHOUT_HAIS = """
title = "tiny"
[data]
source = "mnist_mini"
validation_images = 2000
[model]
latent_size = 4
posterior_offset = -1.0
batch_norm_momentum = 0.1
encoder = { kind = "mlp", mlp.hidden_sizes = [16] }
decoder = { kind = "mlp", mlp.hidden_sizes = [16] }
flow = { depth = 1, made = { width = 8, hidden_layers = 1 } }
[training]
epochs = 4
batch_size = 500
kl_warmup_epochs = 2
[evaluation]
bound_images = 100
importance_sampling = { samples = 10, images = 50 }
"""
CONFIG = WITHOUT_HAIS + "hais = { enabled = true, images = 20, chains = 2, temperatures = 3, pilot_passes = 1 }"


def command(*words):
    return [sys.executable, str(ROOT / "run_single.py"), *map(str, words), "--threads", "1"]


def run(*words, cwd=ROOT, code=0):
    done = subprocess.run(command(*words), capture_output=True, text=True, cwd=cwd, timeout=240, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def main(monkeypatch, *words):
    """Run the command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["run_single.py", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as end:
        single.main()
    return end.value.code
