"""`run_sweep.py`, killed and interrupted again and again, against one that nobody disturbs."""

import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
SPACE = """
base = "{base}"
[fixed]
"training.epochs" = 4
"training.batch_size" = 100
[search]
"model.flow.depth" = {{ int = [0, 2] }}
"training.learning_rate" = {{ float = [1e-3, 1e-2], log = true }}
[sweep]
trials = 3
sampler = "tpe"
scheduler = "none"
max_concurrent = 1
top = 2
"""
CLOCKS = {"seconds", "gpu_seconds", "seconds_per_epoch", "pareto"}


def run_sweep(*words, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "RAY_worker_niceness": "0"}
    return subprocess.Popen(
        [sys.executable, "run_sweep.py", *map(str, words)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def leaderboard(folder):
    with SweepFolder(folder).leaderboard_csv.open() as file:
        return [{key: value for key, value in row.items() if key not in CLOCKS} for row in csv.DictReader(file)]


def wait_for(condition, process, seconds=150):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def trained(folder, trial, epochs):
    metrics = folder.trial(trial) / "metrics.jsonl"
    return lambda: metrics.exists() and metrics.read_text().count("\n") >= epochs


def scored(folder, more):
    """A condition: files of scores, ``more`` than there are when this is called."""

    def count():
        return len(list(folder.rerun.glob("t*.json")))

    before = count()
    return lambda: count() >= before + more


def resume_words(output):
    """The words after `run_sweep.py` of the command that was printed."""
    return shlex.split(re.search(r"python\S* run_sweep.py (resume .*)", output)[1])


def test_killed_and_interrupted_sweeps_have_the_leaderboard_of_an_undisturbed_one(tmp_path):
    space = tmp_path / "space.toml"
    for name in ("reference.toml", "reference_full.toml"):
        shutil.copy(ROOT / "search_spaces" / name, tmp_path)
    base = (ROOT / "search_spaces" / "mnist_smoke.toml").read_text().split("[search]")[0]
    fixed = base.split("[fixed]")[1]
    space.write_text(SPACE.format(base="reference.toml").replace("[fixed]\n", "[fixed]" + fixed.replace(
        '"training.epochs" = 2\n', "").replace('"training.batch_size" = 1000\n', "")))  # fmt: skip
    whole = run_sweep("launch", space, "--runs", tmp_path, "--name", "whole")
    output = whole.communicate(timeout=250)[0]
    assert whole.returncode == 0, output
    expected = leaderboard(tmp_path / "whole")
    assert [row["status"] for row in expected] == ["completed"] * 3
    assert sum(row["nll_hais"] != "" for row in expected) == 2

    folder = SweepFolder(tmp_path / "disturbed")
    words = ["launch", space, "--runs", tmp_path, "--name", "disturbed"]
    steps = [
        (lambda: trained(folder, "t0001", 2), signal.SIGKILL, -9),
        (lambda: trained(folder, "t0002", 1), signal.SIGTERM, 143),
        (lambda: scored(folder, 1), signal.SIGKILL, -9),
        (lambda: scored(folder, 1), signal.SIGINT, 130),
    ]
    for goal, signum, code in steps:
        reached = goal()  # before the driver starts: what was there already must not count
        driver = run_sweep(*words)
        wait_for(lambda reached=reached, driver=driver: reached() or driver.poll() == 0, driver)
        driver.send_signal(signum)
        output = driver.communicate(timeout=90)[0]
        assert driver.returncode in (code, 0), output
        if driver.returncode == 0:
            break  # it was done before the signal came
        words = ["resume", folder.path]
        if signum != signal.SIGKILL:
            assert resume_words(output)[-1].endswith("disturbed")
            words = resume_words(output)
        with folder.ledger.open("ab") as file:
            file.write(b'{"row":"finished","trial":"t00')
    last = run_sweep(*words)
    output = last.communicate(timeout=250)[0]
    assert last.returncode == 0, output
    assert leaderboard(folder.path) == expected
    assert read_ledger(folder.ledger).problems == ()

    done = run_sweep("status", folder.path).communicate(timeout=60)[0]
    assert "3 of 3 trials ended: 3 completed" in done

    more = run_sweep("extend", folder.path, "--trials", "+1")
    output = more.communicate(timeout=250)[0]
    assert more.returncode == 0, output
    assert len(leaderboard(folder.path)) == 4
    again = {row["trial"]: row["validation_negative_elbo"] for row in leaderboard(folder.path)}
    assert {row["trial"]: row["validation_negative_elbo"] for row in expected}.items() <= again.items()

    anew = run_sweep("retrain", folder.path, "--top", "1", "--seeds", "2", "--with-validation")
    output = anew.communicate(timeout=250)[0]
    assert anew.returncode == 0, output
    rows = [row for row in leaderboard(folder.path) if row["retrained_seeds"]]
    assert [(row["rank"], row["retrained_seeds"]) for row in rows] == [("1", "2")]
    seeds = leaderboard(folder.path / "retrain" / "top1-seeds2-all")
    assert len({row["seed"] for row in seeds} | {rows[0]["seed"]}) == 3
    assert all(row["checkpoint"].endswith("last.pt") and row["validation_negative_elbo"] == "" for row in seeds)
    mean = sum(float(row["nll_importance_sampling"]) for row in seeds) / 2
    assert abs(float(rows[0]["retrained_nll_importance_sampling"]) - mean) < 1e-9


def test_stop_from_another_process_and_hours(tmp_path):
    words = ["launch", "mnist_smoke", "--runs", tmp_path, "--name", "s", "--trials", "40", "--epochs", "30"]
    driver = run_sweep(*words)
    folder = SweepFolder(tmp_path / "s")
    wait_for(trained(folder, "t0001", 1), driver)
    assert "running (process" in run_sweep("status", folder.path).communicate(timeout=60)[0]
    stopping = run_sweep("stop", folder.path, "--trial", "t0001")
    assert "Asked t0001 to stop" in stopping.communicate(timeout=60)[0]
    wait_for(lambda: read_ledger(folder.ledger).finished, driver)
    assert read_ledger(folder.ledger).finished[0].finished.status in ("stopped", "completed")
    run_sweep("stop", folder.path).communicate(timeout=60)
    output = driver.communicate(timeout=90)[0]
    assert driver.returncode == 130, output
    assert "Interrupted. To go on" in output
    assert "It ended before its last trial: a user asked it to stop." in folder.report.read_text(encoding="utf-8")
    assert "ended as interrupted: a user asked it to stop" in run_sweep("status", folder.path).communicate()[0]

    budget = run_sweep("resume", folder.path, "--hours", "0.004", "--top", "1")
    output = budget.communicate(timeout=200)[0]
    assert budget.returncode == 0, output
    assert "The sweep is stopped: the 0.004 hours are used up" in output
    assert " resume " in output.splitlines()[-1]  # what one needs last is last
    state = read_ledger(folder.ledger)
    assert state.sessions[-1].outcome == "stopped"
    assert len(state.trials) < 40
