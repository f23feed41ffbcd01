"""The speed benchmarks run, in miniature; their figures are looked at by people."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

ROWS = {
    "train": ("eager, channels-first, float32", "eager, channels-last, bfloat16", "pythae VAE_IAF"),
    "score": ("plain", "folded", "pythae get_nll", "zuko", "nflows", "pythae IAF"),
}
PEERS = ("pythae", "zuko", "nflows")


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_the_table_has_every_row(name):
    words = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for row in ROWS[name]:
        found = [line for line in lines if line.startswith(f"| {row} |")]
        assert found, f"{row} is missing in\n{done.stdout}"
        assert "nan" not in "".join(found)
        # A package that is not installed has its reason instead of a figure; one that is has its figure.
        may_skip = row.split()[0] in PEERS and find_spec(row.split()[0]) is None
        assert may_skip or "skipped: " not in "".join(found), found


@pytest.mark.slow
def test_processes_and_stacked_models_are_timed():
    words = [sys.executable, "-m", "benchmarks.packing", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = ("1 process", "2 processes", "2 models stacked in 1 process")
    for row in rows:
        assert re.search(rf"^\| {row} \| [\d,]+ \| .* \| \d+\.\d\d \|$", done.stdout, re.MULTILINE), done.stdout
