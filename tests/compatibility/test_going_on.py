"""Sweeps and runs of earlier versions, gone on with: the same trials, keys, seeds, decisions, figures within 1e-3."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from iafsweep import load_run, load_sweep
from iafsweep.data import load_training_images
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import load_sweep_space
from iafsweep.sweep.tune.driver import launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.version import VERSION
from tests.compatibility import folders
from tests.compatibility.make import command, environment

OPTIONS = LaunchOptions(node=Node("this machine", 2, 0))
pytestmark = pytest.mark.timeout(900)
every_version = pytest.mark.parametrize("version", folders.VERSIONS)


def alike(now, then, exact=("trial", "parameters", "seed", "key", "repeat", "donors")):
    """Whether trials are the same, and their figures within 1e-3 nats: processors differ in their last bits."""
    assert [[each[name] for name in exact] for each in now] == [[each[name] for name in exact] for each in then]
    for one, other in zip(now, then, strict=True):
        ends = one["finished"], other["finished"]
        for name in ("status", "epochs", "best_epoch"):
            assert ends[0].get(name) == ends[1].get(name)
        assert ends[0].get("best_value") == pytest.approx(ends[1].get("best_value"), abs=1e-3)
        assert one["rungs"] == pytest.approx(other["rungs"], abs=1e-3)


def figures_alike(now, then):
    """Whether the same trials have figures by the same methods, within 1e-3 nats."""
    assert now.keys() == then.keys()
    for trial, evaluation in then.items():
        estimates = now[trial]["estimates"]
        assert [each["settings"] for each in estimates] == [each["settings"] for each in evaluation["estimates"]]
        for one, other in zip(estimates, evaluation["estimates"], strict=True):
            assert one["nll"] == pytest.approx(other["nll"], abs=1e-3)
            assert one["standard_error"] == pytest.approx(other["standard_error"], abs=1e-3)


def run(program, *words, code=0):
    done = subprocess.run(
        command(program, *words), env=environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@every_version
@pytest.mark.parametrize(("name", "trials"), [("killed", 5), pytest.param("finished", 7, marks=pytest.mark.slow)])
def test_a_sweep_goes_on(ray_cluster, version, name, trials, tmp_path):
    """The killed trial goes on from its checkpoint; a finished sweep gets the trial it would have got."""
    folder = SweepFolder(folders.unpack(version, name, tmp_path))
    space = load_sweep_space(folder)
    images = load_training_images(space.base.data, tmp_path)
    longer = replace(space, sweep=space.sweep.model_copy(update={"trials": trials}))
    launch_sweep(longer, folder, images, OPTIONS, SweepCallback())
    alike(folders.trials(folder.path), folders.recorded(version)["continued"][name]["trials"][:trials])
    assert f'written_by = "{VERSION}"' in folder.space.read_text()
    assert load_sweep_space(folder) == longer


@pytest.mark.slow
@every_version
@pytest.mark.parametrize("name", ["killed", "interrupted_scoring", "population"])
def test_resume(version, name, tmp_path):
    path, then = folders.unpack(version, name, tmp_path), folders.recorded(version)["continued"][name]
    scored = {file.name: file.read_bytes() for file in (path / "rerun").glob("*.json")}
    run("run_sweep.py", "resume", path)
    now = folders.sweep_figures(path)
    alike(now["trials"], then["trials"])
    figures_alike(now["evaluations"], then["evaluations"])
    assert {file: (path / "rerun" / file).read_bytes() for file in scored} == scored  # used, not made again
    assert len(list((path / "rerun").glob("*.json"))) == len(list((path / "rerun").iterdir()))


@pytest.mark.slow
@every_version
@pytest.mark.parametrize("name", ["killed", "population"])
def test_a_resumed_sweep_interrupted_again_is_that_without_interruption_bit_for_bit(version, name, tmp_path):
    whole = folders.unpack(version, name, tmp_path)
    disturbed = shutil.copytree(whole, tmp_path / "disturbed")
    run("run_sweep.py", "resume", whole, "--top", 0)
    words = command("run_sweep.py", "resume", disturbed, "--top", 0)
    driver = subprocess.Popen(words, env=environment(), start_new_session=True, stdout=subprocess.DEVNULL)
    before = len(read_ledger(disturbed / "trials.jsonl").events)
    deadline = time.monotonic() + 120
    while len(read_ledger(disturbed / "trials.jsonl").events) < before + 6 and driver.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    run("run_sweep.py", "resume", disturbed, "--top", 0)
    assert folders.trials(disturbed) == folders.trials(whole)


@pytest.mark.slow
@every_version
def test_extend_retry_rerun_and_retrain(version, tmp_path):
    path, then = folders.unpack(version, "finished", tmp_path), folders.recorded(version)
    run("run_sweep.py", "rerun", path)
    figures_alike(folders.sweep_figures(path)["evaluations"], then["sweeps"]["finished"]["evaluations"])
    run("run_sweep.py", "extend", path, "--trials", "+2", "--top", 0)
    alike(folders.trials(path), then["continued"]["finished"]["trials"])
    run("run_sweep.py", "retry", path, "--status", "diverged", "--top", 0)
    assert {trial.afresh for trial in read_ledger(path / "trials.jsonl").trials if trial.reopened} == {1}
    run("run_sweep.py", "retrain", path, "--top", 1, "--seeds", 2)
    best = load_sweep(path).rows[0]
    assert (best.trial, best.retrained.seeds) == (then["sweeps"]["finished"]["rows"][0]["trial"], 2)


@pytest.mark.slow
@every_version
def test_a_new_sweep_starts_warm(version, tmp_path):
    path = folders.unpack(version, "killed", tmp_path)
    known = len(read_ledger(path / "trials.jsonl").finished)
    space = tmp_path / "space.toml"
    shutil.copy(path / "sweep.toml", space)
    said = run(
        "run_sweep.py", "launch", space, "--runs", tmp_path, "--name", "warm", "--warm-start", path,
        "--trials", 1, "--top", 0,
    )  # fmt: skip
    assert f"The sampler starts from the results of {known} of the {known} trials" in said
    (header, *_) = (tmp_path / "warm" / "trials.jsonl").read_text().splitlines()
    assert json.loads(header)["written_by"] == VERSION


def what_was_kept(rows, then):
    """Of each epoch what the version kept that wrote it; the others are figures that it did not have."""
    return [{name: row[name] for name in old} for row, old in zip(rows, then, strict=True)]


@pytest.mark.slow
@every_version
def test_a_run_is_scored_again_and_goes_on(version, tmp_path):
    path, then = folders.unpack(version, "run", tmp_path), folders.recorded(version)["runs"]["run"]
    run("run_single.py", "--run", path, "--evaluate-only", "--threads", 1)
    now = folders.run_figures(path)
    figures_alike({"run": now["evaluation"]}, {"run": then["evaluation"]})
    assert what_was_kept(now["metrics"], then["metrics"]) == then["metrics"]
    run("run_single.py", "--run", path, "--resume", "--set", "training.epochs=3", "--threads", 1)
    longer = load_run(path, "cpu")
    assert what_was_kept([row.model_dump() for row in longer.metrics[:2]], then["metrics"]) == then["metrics"]
    assert len(longer.metrics) == 3
    run("run_single.py", path / "config.toml", "--run", tmp_path / "again", "--threads", 1)
    again = load_run(tmp_path / "again", "cpu")
    bounds = [row.validation_negative_elbo for row in again.metrics]
    assert bounds == pytest.approx([row.validation_negative_elbo for row in longer.metrics], abs=1e-3)
