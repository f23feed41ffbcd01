"""`run_single.py` as its users run it: a process of its own, killed for real."""

import json
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import torch

from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder
from tests.cli.tiny_run import CONFIG, ROOT, command, main, run


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


CLOCK = {"seconds", "images_per_second"}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("configs") / "tiny.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "whole")
    printed = run(config, "--run", folder.path).stdout
    return folder, printed


def metrics(folder):
    return [row.model_dump(exclude=CLOCK) for row in read(folder.metrics)]


def test_one_command_trains_and_scores(whole):
    folder, printed = whole
    written = {path.name for path in folder.path.iterdir()}
    assert written == {
        "config.toml", "metrics.jsonl", "run.log", "tensorboard", "best.pt", "last.pt", "state.json", "samples.png",
        "reconstructions.png", "data.png", "evaluation.json", "per_image.parquet",
    }  # fmt: skip
    evaluation = folder.read_evaluation()
    assert [(each.method, each.split, each.images) for each in evaluation.estimates] == [
        ("negative_elbo", "train", 100),
        ("negative_elbo", "validation", 100),
        ("negative_elbo", "test", 100),
        ("importance_sampling", "test", 50),
        ("importance_sampling", "test", 20),
        ("hais", "test", 20),
    ]
    for estimate in evaluation.estimates:
        assert f"{estimate.nll:.2f} ± {estimate.standard_error:.2f}" in printed
    assert str(folder.path) in printed
    assert "epoch 4/4" in printed
    assert folder.read_state().status == "completed"
    assert len(list(folder.tensorboard.iterdir())) == 2  # of training, and of scoring


KILLED_IN_A_STEP = """
import itertools, os, signal, sys
import torch
from iafsweep.cli.single import main

steps, backward = itertools.count(1), torch.Tensor.backward
wanted = int(sys.argv.pop(1))

def backward_or_die(loss):
    if next(steps) == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
    backward(loss)

torch.Tensor.backward = backward_or_die
main()
"""
STEPS = 8000 // 500
"""Of an epoch."""


@pytest.mark.parametrize("epochs", [slow(0), slow(2), slow(3)])
def test_killed_in_the_middle_of_an_epoch(config, whole, tmp_path, epochs):
    folder = RunFolder(tmp_path / "run")
    words = command(config, "--run", folder.path)
    step = epochs * STEPS + STEPS // 2
    died = subprocess.run([words[0], "-c", KILLED_IN_A_STEP, str(step), *words[2:]], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(read(folder.metrics)) == epochs
    run(config, "--run", folder.path, "--resume")
    assert metrics(folder) == metrics(whole[0])
    ours, theirs = folder.read_evaluation(), whole[0].read_evaluation()
    assert [each.nll for each in ours.estimates] == [each.nll for each in theirs.estimates]


KILLED_IN_A_WRITE = """
import os, signal, sys
import torch
from iafsweep.cli.single import main

calls, save = [], torch.save
wanted = int(sys.argv.pop(1))

def save_half_and_die(content, path):
    calls.append(path)
    save(content, path)
    if len(calls) == wanted:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = save_half_and_die
main()
"""


@pytest.mark.parametrize("write", [slow(4), 5])
def test_killed_in_the_middle_of_a_write(config, whole, tmp_path, monkeypatch, write):
    """One file at the start, then two an epoch while the bound improves: first best.pt, then last.pt."""
    folder = RunFolder(tmp_path / "run")
    words = command(config, "--run", folder.path)
    died = subprocess.run([words[0], "-c", KILLED_IN_A_WRITE, str(write), *words[2:]], cwd=ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(read(folder.metrics)) == 2
    assert main(monkeypatch, config, "--run", folder.path, "--resume", "--threads", 1) == 0
    assert metrics(folder) == metrics(whole[0])
    assert folder.read_state().best == whole[0].read_state().best
    assert {path.name for path in folder.path.iterdir()} == {path.name for path in whole[0].path.iterdir()}


SIGNALLED_AFTER_TWO_EPOCHS = """
import os, sys
from iafsweep.cli.single import main
from iafsweep.run_files import metrics_file

_, number, *sys.argv = sys.argv
append = metrics_file.append

def append_and_signal(path, row):
    append(path, row)
    if row.epoch == 2:
        os.kill(os.getpid(), int(number))

metrics_file.append = append_and_signal
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_runs_print_the_command_that_resumes(config, whole, tmp_path, monkeypatch, number, code):
    folder = RunFolder(tmp_path / "my run")
    words = command(config, "--run", folder.path)
    child = [words[0], "-c", SIGNALLED_AFTER_TWO_EPOCHS, str(int(number)), *words[1:]]
    done = subprocess.run(child, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)
    printed, errors = done.stdout, done.stderr
    assert done.returncode == code, printed + errors
    assert len(read(folder.metrics)) == 2
    assert "Traceback" not in errors
    assert folder.read_state().status == "interrupted"
    again = printed.split("To go on:\n")[1].strip()
    assert again.endswith(f" {ROOT / 'run_single.py'} --run '{folder.path}' --resume --threads 1")
    _, _, *pasted = shlex.split(again)
    assert main(monkeypatch, *pasted) == 0
    assert metrics(folder) == metrics(whole[0])


def test_evaluate_only_scores_again_and_trains_nothing(whole, monkeypatch):
    folder, _ = whole
    before = folder.last.read_bytes()
    earlier = folder.read_evaluation()
    words = ("--run", folder.path, "--evaluate-only", "--set", "evaluation.seed=3", "--threads", 1)
    assert main(monkeypatch, *words) == 0
    later = folder.read_evaluation()
    assert folder.last.read_bytes() == before
    made = [each for each in later.estimates if each.seed == 3]
    assert len(made) == 6
    assert {each.made_with for each in earlier.estimates} < {each.made_with for each in later.estimates}
    assert made[3].nll != earlier.estimates[3].nll
    assert made[3].nll == pytest.approx(earlier.estimates[3].nll, abs=20)


@pytest.mark.slow
def test_until_error_says_which_of_the_two_happened(whole, tmp_path):
    folder = RunFolder(Path(shutil.copytree(whole[0].path, tmp_path / "run")))
    words = ("--run", folder.path, "--evaluate-only", "--until-error", "0.5", "--budget-evaluations", "1500")
    printed = run(*words, "--set", "evaluation.sandwich.enabled=true", "--set", "evaluation.sandwich.images=20").stdout
    evaluation = folder.read_evaluation()
    searches = {each.method: each.until_error for each in evaluation.estimates if each.until_error is not None}
    assert set(searches) == {"importance_sampling", "hais"}
    for found in searches.values():
        text = "0.5 nats reached" if found.stopped_by == "target" else "0.5 nats NOT reached before the budget ran out"
        assert text in printed
    assert len(searches["importance_sampling"].rounds) > 1
    assert f"gap {evaluation.sandwiches[0].gap:.3f}" in printed
    assert folder.simulated.exists()


@pytest.mark.slow
def test_divergence_has_its_own_exit_code(config, tmp_path):
    words = ("--run", tmp_path / "run", "--set", "training.learning_rate=1e30", "--set", "training.kl_warmup_epochs=0")
    done = run(config, *words, code=3)
    assert "diverged in epoch" in done.stdout
    assert RunFolder(tmp_path / "run").read_state().status == "diverged"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.toml"], "no such configuration: nowhere.toml; give a path, or one of those shipped"),
        (["quick"], "is a search space (it has [search]), not a single configuration; launch it: "),
        (["CONFIG", "--set", "model.latent=3"], "unknown key `model.latent`: did you mean `model.latent_size`?"),
        (["CONFIG", "--set", "training.epochs=0"], "training.epochs: must be at least 1, found 0"),
        (["CONFIG", "--set", "training.epochs"], "is not KEY=VALUE"),
        (["CONFIG", "--device", "cuda"], "--device cuda: no CUDA device is visible"),
        (["CONFIG", "--run", "RUN"], "is not empty; add --resume"),
        (["CONFIG", "--run", "nowhere", "--resume"], "nowhere is not a run folder"),
        (["CONFIG", "--run", "RUN", "--resume", "--set", "training.seed=1"], "training.seed = 1 (trained with 0)"),
        (["CONFIG", "--run", "RUN", "--resume", "--set", "training.epochs=3"], "has already trained 4 epochs"),
        (
            ["CONFIG", "--run", "RUN", "--evaluate-only", "--set", "training.seed=1"],
            "training.seed = 1 (trained with 0)",
        ),
        (
            ["--run", "RUN", "--evaluate-only", "--set", "training.epochs=9"],
            "--evaluate-only does not train, so training.epochs = 9 would have no effect",
        ),
        (
            ["--run", "RUN", "--evaluate-only", "--resume"],
            "--resume continues training and --evaluate-only does not train",
        ),
        (["--run", "RUN", "--evaluate-only", "--budget-seconds", "9"], "a budget limits until_error, which is not"),
        (["CONFIG", "--run", "CONFIG"], "is a file, but a run needs a folder"),
        (["--run", "CONFIG", "--resume"], "is a file, but a run needs a folder"),
        (["CONFIG", "--run", "x" * 300], "File name too long"),
        (["CONFIG", "--run", "x" * 300, "--resume"], "File name too long"),
        (["CONFIG", "--set", "model=3"], "`model` is a table, not a value"),
        (["CONFIG", "--set", "training.epochs=3\ntraining.seed=4"], "has more than one line"),
        (["CONFIG", "--set", "evaluation.bound_images=100000"], "is more than any split of mnist_mini has"),
        (["CONFIG", "--set", "model.encoder.mlp.hidden_sizes=[100000, 10000000]"], "training needs at least 18"),
        ([], "no configuration given"),
        (["--threads", "0", "CONFIG"], "Invalid value for '--threads'"),
        (
            ["--run", "RUN", "--evaluate-only", "--until-error", "0"],
            "evaluation.until_error.target: must be greater than 0",
        ),
        (
            ["CONFIG", "--until-error", "0.02", "--set", "evaluation.importance_sampling.samples=1"],
            "until_error.target needs a standard error, and importance_sampling.samples = 1 gives none",
        ),
        (
            ["CONFIG", "--set", 'evaluation.sandwich.starts=["prior", "prior"]'],
            "starts must differ from each other",
        ),
        (["reference", "--data-root", "/proc/nowhere"], "cannot write MNIST to /proc/nowhere"),
    ],
)
def test_mistakes_leave_nothing_behind(config, whole, tmp_path, monkeypatch, capsys, words, message):
    names = {"CONFIG": str(config), "RUN": str(whole[0].path)}
    before = {path: path.stat().st_mtime_ns for path in whole[0].path.iterdir()}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    code = main(monkeypatch, *(names.get(word, word) for word in words))
    shown = capsys.readouterr()
    assert code == 2, shown
    assert message in shown.err
    assert list(tmp_path.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in whole[0].path.iterdir()} == before


@pytest.mark.slow
def test_a_truncated_checkpoint_is_never_trained_over(config, whole, tmp_path):
    folder = RunFolder(Path(shutil.copytree(whole[0].path, tmp_path / "run")))
    folder.last.write_bytes(folder.last.read_bytes()[:1000])
    done = run(config, "--run", folder.path, "--resume", "--set", "training.epochs=6", code=2)
    assert "last.pt is truncated or not a checkpoint" in done.stderr
    assert json.loads(folder.metrics.read_text().splitlines()[-1])["epoch"] == 4
