"""The speed benchmarks run, in miniature; their figures are looked at by people."""

import os
import re
import subprocess
import sys

import pytest

ROWS = {
    "train": ("eager, channels-first, float32", "eager, channels-last, bfloat16", "pythae VAE_IAF"),
    "score": ("plain", "folded", "pythae get_nll", "zuko", "nflows", "pythae IAF"),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_table_has_every_row(name):
    words = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for row in ROWS[name]:
        found = [line for line in lines if line.startswith(f"| {row} |")]
        assert found, f"{row} is missing in\n{done.stdout}"
        # A package that is not installed has its reason instead of a figure.
        assert all("skipped: " in line or "nan" not in line for line in found)


@pytest.mark.slow
def test_processes_and_stacked_models_are_timed():
    words = [sys.executable, "-m", "benchmarks.packing", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = ("1 process", "2 processes", "2 models stacked in 1 process")
    for row in rows:
        assert re.search(rf"^\| {row} \| [\d,]+ \| .* \| \d+\.\d\d \|$", done.stdout, re.MULTILINE), done.stdout
