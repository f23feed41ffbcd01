"""From a search space to a leaderboard and back to a single run, as a user would: by the two commands."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from iafsweep.training import RunFolder
from iafsweep.training.metrics_file import read

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


def test_export_and_resume_of_a_finished_sweep_change_nothing(sweep, tmp_path):
    folder, _ = sweep
    before = (folder / "leaderboard.csv").read_bytes()
    results = {path: path.stat().st_mtime_ns for path in (folder / "rerun").iterdir()}
    run("run_sweep.py", "export", folder, "--csv", tmp_path / "board.csv", cwd=tmp_path)
    assert (tmp_path / "board.csv").read_bytes() == before
    run("run_sweep.py", "resume", folder, "--top", 1, cwd=tmp_path)
    assert (folder / "leaderboard.csv").read_bytes() == before
    assert {path: path.stat().st_mtime_ns for path in (folder / "rerun").iterdir()} == results


def test_a_rerun_scores_more_trials_with_other_settings(sweep):
    folder, _ = sweep
    words = ("--top", 2, "--samples", 7, "--hais", "posterior:3x2x2", "--images", 10)
    run("run_sweep.py", "rerun", folder, *words, cwd=folder)
    board = rows(folder / "leaderboard.csv")
    assert [row["nll_importance_sampling_samples"] for row in board] == ["7", "7"]
    assert [row["nll_hais_settings"] for row in board] == ["posterior 3x2x2"] * 2
    assert [row["nll_hais_images"] for row in board] == ["10", "10"]
    evaluation = json.loads((folder / "trials" / board[0]["trial"] / "evaluation.json").read_text())
    assert evaluation["checkpoint"] == "best"
