"""The Python of docs/ray_tune.md is a script that runs, and what it imports is a sweep for the command line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import iafsweep
from iafsweep.search_space.validation import MUTABLE
from tests.test_end_to_end import run

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "ray_tune.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_page_names_what_may_change_while_a_model_trains():
    (listed,) = re.findall(r"may change while a model trains \((.*?)\)", " ".join(TEXT.split()))
    assert set(re.findall(r"`(.*?)`", listed)) == set(MUTABLE)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_script_of_the_page(tmp_path):
    (toml,), script = blocks("toml"), "\n".join(blocks("python"))
    (tmp_path / "tiny.toml").write_text(toml)
    script = re.sub(r"^(.* == .*)$", r"assert \1", script, flags=re.MULTILINE)
    assert "assert " in script
    (tmp_path / "script.py").write_text(script)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sweep = iafsweep.load_sweep(tmp_path / "runs" / "imported")
    assert sweep.best("cpu").config.title == "How deep a flow?"
    run("run_sweep.py", "rerun", "runs/imported", "--top", 1, "--samples", 5, "--cpus-per-trial", 1, cwd=tmp_path)
    run("run_sweep.py", "report", "runs/imported", cwd=tmp_path)
    assert iafsweep.load_sweep(tmp_path / "runs" / "imported").rows[0].nll_importance_sampling is not None
