"""What messages on single runs advise, done where they advise it; and options that any message names."""

import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest

import iafsweep
from iafsweep.data.idx_sets import MNIST
from iafsweep.errors import SweepError
from iafsweep.sweep.cluster import device, footprint, health_check
from iafsweep.training import RunFolder, Trainer, tracking
from tests.advice.conftest import TINY, commands_in
from tests.advice.places import covers
from tests.docs.test_extending import PLUGIN, Place
from tests.finished import config_text
from tests.tracking.fakes import FakeTracker

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
CPU = ("--device", "cpu", "--threads", 1)


@pytest.fixture
def config(cli, tmp_path):
    """A configuration of one epoch."""
    path = tmp_path / "my run.toml"
    path.write_text(config_text(TINY.model_copy(update={"training": TINY.training.model_copy(update={"epochs": 1})})))
    return path


@pytest.fixture
def run(cli, config, finished, tmp_path):
    """A run of two epochs that was trained as a trial was."""
    return RunFolder(Path(shutil.copytree(finished / "trials" / "t0001", tmp_path / "it's a run")))


@covers("run_files/run_folder.py", "to continue the run in it", "{go_on}name another folder with --run")
@covers("run_files/run_folder.py", "but a run needs a folder; name another", "in use by another process")
@covers("run_files/run_folder.py", "cannot write the run folder {self.path}: {error}; name another folder with --run")
@covers("cli/single.py", "--resume continues training and --evaluate-only does not train")
@covers("training/comparison.py", "or continue training with --resume")
def test_folders_that_are_taken(cli, config, run, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.tex").touch()
    words = (config, "--set", "training.batch_size=50", "--set", "model.flow.depth=1", *CPU)
    for taken, advice in (
        (run.path, "name another folder with --run"),
        ("files", "is not empty; name another folder with --run"),
        ("file", "name another path with --run"),
        ("file/in", "name another folder with --run"),
    ):
        said = cli.run(*words, "--run", taken)
        assert (said.code, advice in said.err) == (2, True), said.text
    with run.held():
        assert "name another folder with --run" in cli.run("--run", run.path, "--resume", *CPU).err
    assert cli.run(*words, "--run", "another").code == 0
    assert cli.run(config, "--run", "another", *words[1:], "--resume").code == 0
    said = cli.run(config, "--run", "another", *words[1:])
    assert "to continue the run in it" in said.err
    said = cli.run("--run", "another", "--evaluate-only", "--set", "training.epochs=2", *CPU)
    assert said.err.endswith("leave it out, or continue training with --resume\n")
    assert cli.run("--run", "another", "--evaluate-only", *CPU).code == 0
    assert "give one of them" in cli.run("--run", "another", "--evaluate-only", "--resume").err
    assert cli.run("--run", "another", "--resume", "--set", "training.epochs=2", *CPU).code == 0


@covers("cli/single.py", "run_command('--run', run, each)", "run_command('reference')")
@covers("cli/single.py", "followed by --resume or --evaluate-only", "run alone with --run", "'--export', to)")
def test_a_command_without_a_configuration_or_with_too_much(cli, config, run, tmp_path, monkeypatch):
    said = cli.run("--run", run.path, *CPU)
    assert said.code == 2
    script, words = commands_in(said.err)[0]
    assert words[0] == "reference"
    with monkeypatch.context() as patched:
        patched.setattr("iafsweep.cli.single.train_and_score", lambda *given, **more: 0)  # which takes days
        assert cli(script, *words).code == 0
    for which in (1, 2):
        cli.paste(said.err, which)
    said = cli.run(*CPU)
    assert "or an earlier run with --run, followed by --resume or --evaluate-only" in said.err
    for words in (("--run", run.path, "--resume"), (config, "--run", run.path)):
        model = tmp_path / f"model of {len(words)} {words[0]}".replace("/", "-").replace(str(tmp_path), "")
        said = cli.run(*words, "--export", model.name)
        assert (said.code, "name that run alone with --run: " in said.err) == (2, True)
        cli.paste(said.err)
        assert iafsweep.load_run(tmp_path / model.name).epoch in (1, 2)


@covers("cli/single.py", "this_command()", "run_command('--run', folder.path, '--resume')")
@covers("training/checkpoint.py", "if the run was killed before its first checkpoint, start it again: ")
def test_an_interrupted_run_goes_on(cli, config, monkeypatch, tmp_path):
    """Before its first checkpoint, while it trains, and while it is scored; after a kill too."""
    run = RunFolder(tmp_path / "a run")
    run_epoch = Trainer.run_epoch

    def interrupted(trainer, step=lambda count: None, *, at):
        if trainer.epochs_done == at:
            monkeypatch.setattr(Trainer, "run_epoch", run_epoch)
            raise KeyboardInterrupt
        return run_epoch(trainer, step)

    for at in (0, 1):
        monkeypatch.setattr(Trainer, "run_epoch", partialmethod(interrupted, at=at))
        said = cli.run(config, "--run", run.path, "--set", "training.epochs=2", *CPU)
        assert said.code == 130
        assert "--threads 1" in said.out
        cli.paste(said.out)
        assert run.read_state().epochs == 2
        shutil.rmtree(run.path)
    run.create(TINY)
    said = cli.run("--run", run.path, "--resume", *CPU)
    assert (said.code, "start it again: " in said.err) == (2, True)
    cli.paste(said.err)
    assert run.read_evaluation().estimates


@covers("training/checkpoint.py", "if the trial was killed before its first checkpoint")
def test_a_trial_without_a_checkpoint(cli, training, folder):
    run = RunFolder(folder.trial("t0004"))
    run.create(TINY)
    said = cli.run("--run", run.path, "--resume", *CPU)
    assert said.code == 2
    cli.paste(said.err)
    assert run.last.exists()


@covers("run_files/run_folder.py", "score the run again: ")
@covers("training/comparison.py", "--set evaluation.checkpoint=last")
def test_damaged_files_of_a_run(cli, run):
    run.evaluation.write_text("{")
    (problem,) = iafsweep.load_run(run.path, "cpu").problems
    cli.paste(problem)
    assert iafsweep.load_run(run.path, "cpu").problems == ()
    run.best.unlink()
    words = ("--run", run.path, "--resume", "--set", "training.epochs=3", *CPU)
    said = cli.run(*words)
    assert said.err.endswith("continue and score the last epoch with --set evaluation.checkpoint=last\n")
    assert cli.run(*words, "--set", "evaluation.checkpoint=last").code == 0
    assert run.read_evaluation().checkpoint == "last"


@covers("api/scoring/asked.py", "as in --until-error 0.02")
@covers("config/files.py", "give each KEY=VALUE a --set of its own")
@covers("training/computing.py", "start again in a new folder with --set training.precision=float32")
def test_options_of_a_run(cli, config, run, monkeypatch, tmp_path):
    words = ("--run", run.path, "--evaluate-only", "--budget-evaluations", 20, *CPU)
    assert "add it, as in --until-error 0.02 (in Python" in cli.run(*words).err
    assert cli.run(*words, "--until-error", "0.02").code == 0
    both = "evaluation.seed=1\nevaluation.binarisations=1"
    said = cli.run("--run", run.path, "--evaluate-only", "--set", both, *CPU)
    assert "a --set of its own" in said.err
    each = [word for text in both.splitlines() for word in ("--set", text)]
    assert cli.run("--run", run.path, "--evaluate-only", *each, *CPU).code == 0
    monkeypatch.setattr("iafsweep.training.computing.has_bfloat16_products", lambda: False)
    words = (config, "--set", "training.batch_size=1000", "--set", "training.precision=bfloat16", *CPU)
    said = cli.run(*words, "--run", "slow")
    assert "start again in a new folder with --set training.precision=float32" in " ".join(said.out.split())
    said = cli.run(*words, "--run", "fast", "--set", "training.precision=float32")
    assert (said.code, "start again" in said.out) == (0, False)


@covers("training/tracking/__init__.py", "install_command(name)", "set MLFLOW_TRACKING_URI=")
@covers("training/tracking/mirror.py", "and resuming with --tracker", "; resuming with --tracker")
def test_trackers_and_packages_that_are_not_there(cli, run, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking, "_is_installed", lambda name: False)
    said = cli.run("--run", run.path, "--evaluate-only", "--tracker", "mlflow", *CPU)
    can_install(said.err, "mlflow")
    monkeypatch.setattr(tracking, "_is_installed", lambda name: True)

    def broken():
        raise ConnectionError("no server")

    monkeypatch.setitem(tracking.TRACKERS, "mlflow", broken)
    said = cli.run("--run", run.path, "--evaluate-only", "--tracker", "mlflow", *CPU)
    assert "resuming with --tracker mlflow sends what is missing" in said.out
    log = []
    monkeypatch.setitem(tracking.TRACKERS, "mlflow", lambda: FakeTracker(log))
    assert cli.run("--run", run.path, "--resume", "--tracker", "mlflow", *CPU).code == 0
    assert {1, 2} <= {what for _, what in log if isinstance(what, int)}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}")
    words = ("--run", run.path, "--resume", "--tracker", "mlflow", *CPU)
    assert "set MLFLOW_TRACKING_URI=sqlite:///mlflow.db" in cli.run(*words).err
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert cli.run(*words).code == 0


def can_install(text, extra):
    """The command is of the environment that runs, installs this checkout, and an extra that there is."""
    words = shlex.split(text.partition("install it: ")[2])
    assert words[1:4] == ["-m", "pip", "install"]
    assert os.path.samefile(shutil.which(words[0]), sys.executable)
    folder, name = re.fullmatch(r"(.*)\[(\w+)\]", words[-1]).groups()
    assert name == extra
    project = Path(folder) / "pyproject.toml"
    assert re.search(rf"^{extra} = \[", project.read_text(), re.M)


@covers("config/family.py", "add --plugin {member.plugin}")
@covers("config/problems.py", "name the plugin with --plugin")
def test_a_plugin_that_is_not_loaded(tmp_path):
    place = Place(tmp_path)
    said = place.run("run_single.py", "small.toml", "--run", "run", code=2)
    assert "unknown key `model.encoder.linear`" in said
    assert "name the plugin with --plugin" in said
    place.run("run_single.py", "small.toml", "--run", "run", *PLUGIN)
    words = ("run_single.py", "--run", "run", "--evaluate-only")
    assert f"add {' '.join(PLUGIN)} (in Python" in place.run(*words, code=2)
    place.run(*words, *PLUGIN)


@covers("cli/entry.py", "`make sweep` makes")
def test_the_interpreter_of_the_environment(tmp_path, finished):
    """In a checkout whose environment is there, with another interpreter that has nothing installed."""
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    for name in ("iafsweep", "run_sweep.py", "Makefile"):
        (checkout / name).symlink_to(ROOT / name)
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    bare = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", "run_sweep.py", "status", finished]
    done = subprocess.run(command, capture_output=True, text=True, cwd=checkout, env=bare, check=False)
    assert done.returncode == 2, done.stderr
    again = done.stderr.rpartition(" makes: ")[2]
    done = subprocess.run(again, shell=True, capture_output=True, text=True, cwd=checkout, env=bare, check=False)
    assert (done.returncode, "2 completed" in done.stdout) == (0, True), done.stderr


@covers("sweep/cluster/resources.py", "limit --hours instead")
@covers("sweep/cluster/footprint.py", "choose another --runs folder")
def test_resources_of_a_launch(cli, training, folder, monkeypatch, tmp_path):
    space = shutil.copy(folder.space, tmp_path / "s.toml")
    said = cli.sweep("launch", space, "--gpu-hours", 1)
    assert said.err.endswith("leave it out, and limit --hours instead\n")
    assert cli.sweep("launch", space, "--hours", 1).code == 0
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setattr(footprint, "free_bytes", lambda path: 2**40 if path.is_relative_to(elsewhere) else 2**20)
    said = cli.sweep("launch", space)
    assert said.err.endswith("free some space, choose another --runs folder, or lower --trials\n")
    assert cli.sweep("launch", space, "--runs", elsewhere).code == 0
    assert cli.sweep("resume", folder.path).err.endswith("; free some space\n")


@covers("sweep/cluster/gpu_packing.py", "set --gpus-per-trial 1 to let", "give a number, or 0")
@covers("sweep/cluster/gpu_packing.py", "give a number of GPUs instead")  # as the two others do
@covers("sweep/cluster/device.py", "use no GPU (--gpus-per-trial 0)")
def test_gpus_of_a_launch(cli, training, folder, monkeypatch, tmp_path):
    space = shutil.copy(folder.space, tmp_path / "s.toml")
    said = cli.sweep("launch", space, "--gpus-per-trial", "auto")
    assert said.err.endswith("PyTorch sees none; give a number, or 0\n")
    assert cli.sweep("launch", space, "--gpus-per-trial", 0).code == 0
    with pytest.raises(Exception, match=r"--gpus-per-trial 0\)"):
        device.take_device(1.0)
    training.gpus = 1
    monkeypatch.setattr("iafsweep.api.settings.require_gpu", lambda: None)

    monkeypatch.setattr("iafsweep.api.settings.probe_gpu", lambda config: (2**50, 2**30))
    said = cli.sweep("launch", space, "--gpus-per-trial", "auto")
    assert "or set --gpus-per-trial 1 to let such trials end as out of memory" in said.err, said.text
    assert cli.sweep("launch", space, "--gpus-per-trial", 1).code == 0


@covers("sweep/cluster/health_check.py", "leave --address out", "no Ray cluster answers", "cannot join the Ray cluster")
@covers("sweep/cluster/health_check.py", "nothing listens at", "a shorter path: --ray-folder /tmp/ray")
@covers("sweep/cluster/health_check.py", "a token is then drawn for this command alone")
@covers("sweep/cluster/health_check.py", "choose a shared folder with --runs")
def test_ray_of_a_launch(cli, training, folder, monkeypatch, tmp_path):
    """Ray itself is asked nothing here; that nothing listens is found by a socket."""
    with pytest.raises(SweepError, match=r"leave --address out to use this machine alone$"):
        health_check.check_cluster("127.0.0.1:1")
    assert cli.sweep("resume", folder.path).code == 0
    with pytest.raises(SweepError, match=r"--ray-folder /tmp/ray$"):
        health_check.check_before_ray("/" + "x" * 100)
    health_check.check_before_ray("/tmp/ray")
    assert cli.sweep("resume", folder.path, "--ray-folder", "/tmp/ray").code == 0


@covers("data/reading.py", "name them with --data-path", "give their new path with --data-path")
def test_the_file_of_one_s_own_images(cli, config, tmp_path):
    grey = np.random.default_rng(1).integers(0, 256, (80, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "my images.npz", train=grey[:60], test=grey[60:])
    fields = ("data.source=file", "data.validation_images=10", "training.batch_size=10")
    words = (config, "--run", "mine", *CPU, *(word for field in fields for word in ("--set", field)))
    said = cli.run(*words)
    assert (said.code, "name them with --data-path" in said.err) == (2, True)
    assert cli.run(*words, "--data-path", "my images.npz").code == 0
    (tmp_path / "my images.npz").rename(tmp_path / "moved.npz")
    said = cli.run("--run", "mine", "--evaluate-only", *CPU)
    assert (said.code, "give their new path with --data-path" in said.err) == (2, True)
    assert cli.run("--run", "mine", "--evaluate-only", *CPU, "--data-path", "moved.npz").code == 0


@covers("data/source.py", "or name another folder with --data-root")
def test_the_folder_of_data(cli, training, folder, monkeypatch, tmp_path):
    def offline(root):
        raise OSError("no network")

    monkeypatch.setattr(MNIST, "download", offline)
    raw = tmp_path / "my data" / MNIST.folder
    raw.mkdir(parents=True)
    files = []
    for file, images in zip(MNIST.files, (60_000, 10_000), strict=True):
        content = struct.pack(">IIII", 2051, images, 28, 28) + bytes(images * 784)
        (raw / file.name).write_bytes(content)
        files.append(replace(file, checksum=hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(MNIST, "files", tuple(files))
    space = shutil.copy(folder.space, tmp_path / "s.toml")
    words = ("launch", space, "--top", 0, "--set")
    said = cli.sweep(*words, "data.source=mnist", "--data-root", "nowhere")
    assert "name another folder with --data-root or IAFSWEEP_DATA, or set data.source = 'mnist_mini'" in said.err
    assert cli.sweep(*words, "data.source=mnist", "--data-root", "my data").code == 0
    assert cli.sweep(*words, "data.source=mnist_mini", "--data-root", "nowhere").code == 0
