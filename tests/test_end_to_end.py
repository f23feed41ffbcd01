"""From a search space to a leaderboard and back to a single run, as a user would: by the two commands."""

import csv
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from iafsweep.records import Estimate
from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder

ROOT = Path(__file__).parent.parent
CLOCK = {"seconds", "images_per_second"}


def run(script, *words, cwd, code=0):
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, words)],
        capture_output=True, text=True, cwd=cwd, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A finished sweep of two tiny trials, and what its launch printed."""
    home = tmp_path_factory.mktemp("home")
    done = run("run_sweep.py", "launch", "mnist_smoke", "--top", 1, "--name", "smoke", cwd=home)
    return home / "runs" / "smoke", done


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_sweep_leaves_a_report(sweep):
    folder, done = sweep
    assert f"Report: {folder / 'report.html'}" in done.stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    versions = json.loads((folder / "environment.jsonl").read_text(encoding="utf-8").splitlines()[-1])["packages"]
    assert f"torch {versions['torch']}" in page
    assert "All trials have ended." in page
    assert page.count("data:image/png;base64,") == 4  # samples and reconstructions of two trials
    assert str(folder.parent) not in page
    assert "report runs/smoke" in page


def test_every_trial_is_a_row_of_tensorboards_hparams_tab(sweep):
    folder, _ = sweep
    for row in rows(folder / "leaderboard.csv"):
        read = EventAccumulator(str(folder / "trials" / row["trial"] / "tensorboard")).Reload()
        start = read.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
        columns = metadata.parse_session_start_info_plugin_data(start).hparams
        assert columns["training.learning_rate"].number_value == pytest.approx(float(row["training.learning_rate"]))
        assert metadata.SESSION_END_INFO_TAG in read.summary_metadata
        final = {
            "validation_negative_elbo": "final/bound_validation",
            "test_negative_elbo": "final/bound_test",
            "nll_importance_sampling": "final/nll_test_importance_sampling",
            "nll_hais": "final/nll_test_hais",
        }
        for name, tag in final.items():
            shown = [point.value for point in read.Scalars(tag)] if tag in read.Tags()["scalars"] else []
            assert shown == ([pytest.approx(float(row[name]))] if row[name] else [])


def test_a_sweep_ends_with_a_leaderboard(sweep):
    folder, done = sweep
    assert done.stderr == ""
    board = rows(folder / "leaderboard.csv")
    assert [row["rank"] for row in board] == ["1", "2"]
    assert [row["status"] for row in board] == ["completed", "completed"]
    best, other = board
    assert float(best["validation_negative_elbo"]) <= float(other["validation_negative_elbo"])
    for name in ("test_negative_elbo", "nll_importance_sampling", "nll_hais"):
        assert math.isfinite(float(best[name]))
        assert int(best[f"{name}_images"]) > 0
        assert other[name] == ""
    for name in (
        "nll_importance_sampling_error",
        "nll_hais_error",
        "nll_hais_settings",
        "seconds",
        "seed",
        "parameters",
    ):
        assert best[name]
    assert (folder / best["checkpoint"]).is_file()
    for text in (best["trial"], "leaderboard.csv", "best.toml", str(folder / "trials")):
        assert text in done.stdout
    assert (folder / "leaderboard.md").read_text().startswith("# ")


def test_nothing_it_wrote_names_this_machine(sweep):
    folder, _ = sweep
    for file in folder.rglob("*"):
        if file.suffix in {".toml", ".jsonl", ".csv", ".md", ".json"}:
            assert str(folder) not in file.read_text(), file


@pytest.mark.slow
def test_a_trial_is_what_run_single_would_have_trained(sweep, tmp_path):
    folder, _ = sweep
    best = rows(folder / "leaderboard.csv")[0]["trial"]
    run("run_single.py", folder / "best.toml", "--run", tmp_path / "again", "--threads", 1, cwd=tmp_path)
    alone, trial = RunFolder(tmp_path / "again"), RunFolder(folder / "trials" / best)
    assert [row.model_dump(exclude=CLOCK) for row in read(alone.metrics)] == [
        row.model_dump(exclude=CLOCK) for row in read(trial.metrics)
    ]
    ours = {(each.method, each.images): each.nll for each in alone.read_evaluation().estimates if each.split == "test"}
    theirs = {(each.method, each.images): each.nll for each in trial.read_evaluation().estimates}
    assert ours == pytest.approx(theirs, abs=1e-3)


@pytest.mark.slow
def test_export_and_resume_of_a_finished_sweep_change_nothing(sweep, tmp_path):
    folder, _ = sweep
    before = (folder / "leaderboard.csv").read_bytes()
    results = {path: path.stat().st_mtime_ns for path in (folder / "rerun").iterdir()}
    run("run_sweep.py", "export", folder, "--csv", tmp_path / "board.csv", cwd=tmp_path)
    assert (tmp_path / "board.csv").read_bytes() == before
    for own in ("trials.jsonl", "best.toml"):
        refused = run("run_sweep.py", "export", folder, "--csv", folder / own, cwd=tmp_path, code=2)
        assert "lies in the sweep folder" in refused.stderr
    run("run_sweep.py", "resume", folder, "--top", 1, cwd=tmp_path)
    assert (folder / "leaderboard.csv").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in (folder / "rerun").iterdir()} == results


@pytest.mark.slow
def test_a_rerun_scores_more_trials_with_other_settings(sweep, tmp_path):
    folder, _ = sweep
    words = ("--top", 2, "--samples", 7, "--hais", "posterior:3x2x2", "--images", 10)
    run("run_sweep.py", "rerun", folder, *words, cwd=folder)
    first = rows(folder / "leaderboard.csv")[0]
    assert (first["nll_importance_sampling_samples"], first["nll_importance_sampling_images"]) == ("8", "20")
    run("run_sweep.py", "export", folder, "--show", "7 samples", "--show", "posterior 3x2x2", cwd=folder)
    board = rows(folder / "leaderboard.csv")
    assert [row["nll_importance_sampling_samples"] for row in board] == ["7", "7"]
    assert [row["nll_hais_settings"] for row in board] == ["posterior 3x2x2"] * 2
    assert [row["nll_hais_images"] for row in board] == ["10", "10"]
    compared = run("run_sweep.py", "compare", folder, "--csv", tmp_path / "differences.csv", cwd=folder)
    differences = rows(tmp_path / "differences.csv")
    assert {row["method"] for row in differences} == {"negative_elbo", "importance_sampling", "hais"}
    for row in differences:
        nll = {"importance_sampling": "nll_importance_sampling", "hais": "nll_hais"}.get(row["method"])
        if nll is not None:
            by_trial = {each["trial"]: float(each[nll]) for each in board}
            expected = by_trial[row["first"]] - by_trial[row["second"]]
            assert float(row["difference"]) == pytest.approx(expected, abs=1e-9)
        assert f"{float(row['difference']):+.3f} ± {float(row['standard_error']):.3f}" in compared.stdout
    done = run("run_sweep.py", "compare", folder, board[0]["trial"], cwd=folder, code=2)
    assert "a comparison needs at least two different scored trials" in done.stderr
    evaluation = json.loads((folder / "trials" / board[0]["trial"] / "evaluation.json").read_text())
    assert evaluation["checkpoint"] == "best"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_reruns_one_after_the_other_only_ever_add(tmp_path):
    """As in the README's table: more trials, then other HAIS settings, then until an error, then weaker ones again."""
    run("run_sweep.py", "launch", "mnist_smoke", "--top", 1, "--name", "smoke", cwd=tmp_path)
    folder = tmp_path / "runs" / "smoke"

    def figures():
        runs = (RunFolder(path) for path in sorted((folder / "trials").iterdir()))
        found = [(each.path.name, each.read_evaluation()) for each in runs if each.evaluation.exists()]
        return {
            (trial, *each.made_with, each.nll if isinstance(each, Estimate) else each.gap)
            for trial, evaluation in found
            for each in (*evaluation.estimates, *evaluation.sandwiches)
        }

    def made(before):
        return {(each[0], each[3]) for each in figures() - before if each[1] != "negative_elbo"}

    before = figures()
    best = rows(folder / "leaderboard.csv")[0]["trial"]
    for words, expected in (
        (["--top", 10, "--samples", 50], {(trial, "50 samples") for trial in ("t0001", "t0002")}),
        (["--hais", "posterior:10x2x4"], {(best, "posterior 10x2x4")}),
        (["--hais", "posterior", "--until-error", 0.4, "--sandwich", 5], None),
        (["--samples", 50, "--top", 2], set()),
        ([], set()),
    ):
        run("run_sweep.py", "rerun", folder, *words, cwd=tmp_path)
        assert before <= figures(), words
        if expected is not None:
            # What the trial of lower rank had none of is made too, with the sweep's settings.
            assert expected <= made(before) <= expected | {("t0001", "prior 4x2x8"), ("t0002", "prior 4x2x8")}
        before = figures()
    run("run_sweep.py", "resume", folder, cwd=tmp_path)
    assert figures() == before
    done = run("run_single.py", "--run", folder / "trials" / best, "--evaluate-only",
               "--set", "evaluation.importance_sampling.samples=3", cwd=tmp_path)  # fmt: skip
    assert before < figures()
    assert "IS, 50 samples" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_compare_advises_makes_the_comparison_when_pasted(tmp_path):
    run("run_sweep.py", "launch", "mnist_smoke", "--top", 1, "--name", "smoke", cwd=tmp_path)
    folder = tmp_path / "runs" / "smoke"
    scored = rows(folder / "leaderboard.csv")[0]["trial"]
    (other,) = {"t0001", "t0002"} - {scored}
    run("run_sweep.py", "rerun", folder, "--trial", other, "--samples", 9, "--hais", "prior:3x2x2", cwd=tmp_path)

    def compared():
        return run("run_sweep.py", "compare", folder, cwd=tmp_path).stdout

    said = compared()
    assert said.count("not compared") == 2
    (line,) = (line for line in said.splitlines() if line.startswith("To compare them"))
    words = shlex.split(line.partition("same settings: ")[2])
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not compared" not in compared()
    assert {"NLL, IS", "NLL, HAIS"} <= {name for name in ("NLL, IS", "NLL, HAIS") if name in compared()}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rerun_that_is_killed_goes_on_without_repeating_anything(sweep):
    """The driver is killed in the middle; the next call does what is left, and the figures are those of one process."""
    folder, _ = sweep
    words = ["rerun", folder, "--top", 2, "--samples", 500, "--images", 300, "--until-error", 0.3, "--sandwich", 20]
    words += ["--set", "evaluation.seed=5", "--hais", "posterior:5x2x4", "--budget-evaluations", 1000]
    command = [sys.executable, str(ROOT / "run_sweep.py"), *map(str, words)]
    before = set((folder / "rerun").iterdir())
    driver = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 200
    while len(set((folder / "rerun").glob("*.json")) - before) < 4:
        assert driver.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    kept = {path: path.stat().st_mtime_ns for path in set((folder / "rerun").glob("*.json")) - before}
    done = run("run_sweep.py", *words, cwd=folder)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    board = rows(folder / "leaderboard.csv")
    assert all(float(row["hais_gap"]) > -3 * float(row["hais_gap_error"]) for row in board)
    trial = RunFolder(folder / "trials" / board[0]["trial"])
    pooled = trial.read_evaluation()
    for estimate in pooled.estimates:
        if (found := estimate.until_error) is not None:
            text = "0.3 nats reached" if found.stopped_by == "target" else "0.3 nats NOT reached"
            assert text in done.stdout
    sets = [
        "seed=5", "importance_sampling.samples=500", "importance_sampling.images=300", "hais.images=300",
        "hais.start=posterior", "hais.temperatures=5", "hais.leapfrog_steps=2", "hais.chains=4",
        "sandwich.enabled=true", "sandwich.images=20", "until_error.target=0.3", "until_error.budget_evaluations=1000",
    ]  # fmt: skip
    options = [word for each in sets for word in ("--set", f"evaluation.{each}")]
    run("run_single.py", "--run", trial.path, "--evaluate-only", *options, cwd=folder)
    alone = trial.read_evaluation()
    ours = {(each.method, each.settings, each.images): each.nll for each in alone.estimates if each.split == "test"}
    theirs = {(each.method, each.settings, each.images): each.nll for each in pooled.estimates}
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert alone.sandwiches[0].gap == pytest.approx(pooled.sandwiches[0].gap, abs=1e-4)
