"""Two drivers, bounds that are not finite, and failures that repeat themselves: without Ray, in seconds."""

import math
import subprocess
import sys
import time

import pytest

from iafsweep.errors import SweepError
from iafsweep.sweep.callbacks.base import NoProgress
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.samplers.optuna_study import BAD_BOUND, frozen_trial
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from iafsweep.sweep.tune.trainable import SweepTrial, TrialSettings
from iafsweep.sweep.tune.trial_run import open_trainer
from tests.sweep.storage.test_ledger import proposed
from tests.sweep.tiny import DEPTH, RATE, tiny_images, tiny_space
from tests.sweep.tune.test_trainable import config_of

pytestmark = pytest.mark.faults
HOLDER = """
import sys, time
from iafsweep.sweep.storage.folder import SweepFolder
with SweepFolder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_driver_is_refused_and_a_killed_one_lets_go(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, folder.path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    started = time.monotonic()
    options = LaunchOptions(node=Node("this machine", 2, 0))
    with pytest.raises(SweepError, match=f"in use by another driver .process {holder.pid} on "):
        launch_sweep(tiny_space(), folder, tiny_images(), options, NoProgress())
    assert time.monotonic() - started < 60  # the holder stays for ten minutes
    assert not folder.ledger.exists()
    assert folder.driver().startswith(f"process {holder.pid} on ")
    holder.kill()
    holder.communicate()
    assert folder.driver() is None
    with folder.lock():
        pass


def test_a_bound_that_is_not_finite_ends_the_trial_at_once(tmp_path):
    """The real trainer with a learning rate that no network survives."""
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    config = config_of(epochs=3)
    config["config"] = config["config"].replace('"learning_rate":0.002', '"learning_rate":1e30')
    trial = SweepTrial.__new__(SweepTrial)
    images = tiny_images()
    settings = TrialSettings(folder.path, 1, (), open_trainer)
    trial.setup(config, images.training.numpy(), images.validation.numpy(), settings)
    end = trial.step()
    assert (end["status"], end["done"]) == ("diverged", True)
    assert math.isinf(end["validation_negative_elbo"])
    assert "diverged in epoch 1" in end["error"]


@pytest.mark.parametrize("status", ["diverged", "oom", "failed"])
def test_such_ends_are_told_to_the_sampler_as_bad_points(status):
    row = proposed(1).model_copy(update={"parameters": {DEPTH: 0, RATE: 2e-3}})
    end = Finished(trial="t0001", status=status, epochs=1, seconds=1.0, gpu_seconds=0.0, time="t")
    told = frozen_trial(tiny_space(), row.parameters, end)
    assert told.state.name == "PRUNED"
    assert told.intermediate_values == {0: BAD_BOUND}
