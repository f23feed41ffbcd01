"""The disk fills while a sweep writes to it: nothing is corrupt, nothing is lost, and it goes on once there is room."""

import shutil

import pytest
import torch

from iafsweep.errors import SweepError
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.storage.events import Rung, Started
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from iafsweep.sweep.tune.trainable import SweepTrial
from iafsweep.sweep.tune.trial_run import TrialSettings, open_trainer
from iafsweep.training import RunFolder, Trainer, checkpoint
from tests.sweep.storage.test_ledger import HEADER, proposed
from tests.sweep.tiny import open_filling, tiny_images, tiny_space
from tests.sweep.tune.test_trial_run import config_of, metrics_of

pytestmark = pytest.mark.faults
IMAGES = tiny_images()
NODE = Node("this machine", 2, 0)


def test_ledger_row_that_does_not_fit_is_taken_back(small_disk):
    path = small_disk.path / "trials.jsonl"
    with Ledger.create(path, HEADER) as ledger:
        ledger.append(proposed(1))
        small_disk.fill()
        rows = [Rung(trial="t0001", epoch=1, value=1.0, time="t" * 100)] * 200
        with pytest.raises(SweepError, match="No space left|bytes were written"):
            list(map(ledger.append, rows))
        whole = path.read_bytes()
        assert whole.endswith(b"\n")
        assert read_ledger(path).problems == ()
        small_disk.free()
        ledger.append(Started(trial="t0001", time="t"))
    assert read_ledger(path).problems == ()
    assert read_ledger(path).trials[0].starts == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's may be the first
def test_trial_keeps_its_last_checkpoint_stays_unfinished_and_goes_on_as_if_nothing_was(small_disk, tmp_path):
    folder = SweepFolder(small_disk.path / "sweep")
    folder.create()

    def trial():
        made = SweepTrial.__new__(SweepTrial)
        settings = TrialSettings(folder.path, 1, (), open_trainer)
        made.setup(config_of(epochs=4), IMAGES.training.numpy(), IMAGES.validation.numpy(), settings)
        return made

    first = trial()
    assert first.step()["status"] == "running"
    small_disk.fill(leave=8192)
    ends = [first.step() for _ in range(3)]
    end = next(result for result in ends if result["status"] != "running")
    assert (end["status"], end["done"]) == ("interrupted", True)
    assert "no space left on the disk" in end["error"]
    run = RunFolder(folder.trial("t0001"))
    saved = checkpoint.load_last(run, torch.device("cpu"))  # whole, whichever epoch it is of
    assert 1 <= saved.epoch < 4
    first.cleanup()

    small_disk.free()
    second = trial()
    while not (result := second.step())["done"]:
        pass
    assert result["status"] == "completed"
    alone = Trainer.start(second._run.config, IMAGES, RunFolder(tmp_path / "alone"), torch.device("cpu"))
    for _ in range(4):
        alone.run_epoch()
    alone.finish()
    assert metrics_of(run.path) == metrics_of(tmp_path / "alone")


def test_too_little_room_is_refused_before_anything_is_made(small_disk):
    folder = SweepFolder(small_disk.path / "sweep")
    with pytest.raises(SweepError, match=r"40 trials take about .*, and 0.0 MiB must stay free .* has only 1.\.. MiB"):
        launch_sweep(tiny_space(trials=40, free_disk=0.0), folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())
    with pytest.raises(SweepError, match="must stay free"):
        launch_sweep(tiny_space(trials=1), folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())
    assert not folder.path.exists()


@pytest.mark.slow
def test_sweep_stops_below_the_floor_and_goes_on_once_there_is_room(ray_cluster, small_disk, tmp_path):
    """The first trial fills the disk in its second epoch; the sweep stops, nothing is corrupt, `resume` ends it."""
    whole = SweepFolder(tmp_path / "whole")
    space = tiny_space(trials=2, sampler="random", free_disk=0.0)
    launch_sweep(space, whole, IMAGES, LaunchOptions(node=NODE), SweepCallback())

    folder = SweepFolder(small_disk.path / "sweep")
    options = LaunchOptions(node=NODE, open_trainer=open_filling)
    outcome = launch_sweep(space, folder, IMAGES, options, SweepCallback())
    assert outcome.status == "stopped"
    assert "no space left on the disk" in outcome.reason
    assert outcome.exit_code == 0
    assert [trial.trial for trial in outcome.state.unfinished] == ["t0001"]
    assert read_ledger(folder.ledger).problems == ()

    assert shutil.disk_usage(small_disk.path).free < 2**20
    (folder.path.parent / "filled").unlink()
    floor = tiny_space(trials=2, sampler="random", free_disk=1.0)  # now nothing may begin
    with pytest.raises(SweepError, match="must stay free"):
        launch_sweep(floor, folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())

    resumed = launch_sweep(space, folder, IMAGES, LaunchOptions(node=NODE), SweepCallback())
    assert resumed.status == "completed"
    for trial in resumed.state.trials:
        assert metrics_of(folder.trial(trial.trial)) == metrics_of(whole.trial(trial.trial))
