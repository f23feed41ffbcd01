"""What ends a sweep before its last trial: budgets and a full disk; without Ray."""

import errno
import os
import subprocess
import sys

import pytest
import torch

from iafsweep.config import EvaluationConfig
from iafsweep.config.files import build_config, with_values
from iafsweep.errors import SweepError
from iafsweep.sweep.callbacks.budget import BudgetWatch, rerun_costs, rerun_seconds, training_seconds_an_image
from iafsweep.sweep.cluster import footprint as disk
from iafsweep.sweep.cluster.footprint import parameter_count, run_folder_bytes
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.trial_report import TrialReport
from iafsweep.training import RunFolder, Trainer
from tests.sweep.storage.test_ledger import EVENTS, HEADER
from tests.sweep.tiny import BASE, tiny_images, tiny_space

STATE = replay(HEADER, EVENTS)  # best 100.0
PLAN = Plan(at_a_time=2, limited_by="CPU", cpus=1, gpus=0.5)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def report(seconds=60.0, epoch=1, trial="t0009"):
    return TrialReport(
        trial=trial,
        status="running",
        epoch=epoch,
        epochs=4,
        validation_negative_elbo=90.0,
        best_epoch=1,
        best_value=90.0,
        seconds=seconds,
        gpus=0.5,
        device="cpu",
        parameters=10,
    )


def used_up(watch):
    watch.look_at_the_clock()
    return watch.stop.cause == "stopped"


@pytest.mark.parametrize(("target", "reason"), [(100.0, "the target of 100 nats is reached (100.00)"), (99.9, "")])
def test_target_is_a_completed_trials_bound(target, reason):
    watch = BudgetWatch(tiny_space(target=target))
    watch.begin(PLAN, STATE, 9)
    assert watch.stop.text == reason
    watch.epoch(report(), STATE)  # a running trial at 90 does not count
    assert used_up(watch) == bool(reason)


def test_gpu_hours_count_running_trials_and_what_earlier_drivers_spent():
    watch = BudgetWatch(tiny_space(gpu_hours=1.0))
    watch.begin(PLAN, STATE, 9)
    watch.epoch(report(3000), STATE)
    assert not used_up(watch)
    watch.epoch(report(3000, trial="t0008"), STATE)
    assert not used_up(watch)
    watch.epoch(report(4300, trial="t0008"), STATE)
    assert watch.stop.text.startswith("the 1 GPU-hours are used up (1.01)")


def test_hours_keep_time_for_the_rerun():
    clock = Clock()
    space = tiny_space(top=2)
    watch = BudgetWatch(space, 1.0, clock)
    watch.begin(PLAN, STATE, 9)
    clock.now += 3599
    assert not used_up(watch)
    watch.epoch(report(seconds=9.0), STATE)  # 1 ms an image of 9,000
    one = rerun_seconds(rerun_costs(space.base, 1000), 0.001)
    assert one > 60
    assert used_up(watch)
    assert "minutes of them reserved for scoring the best" in watch.stop.text


def test_at_most_half_of_the_hours_is_kept():
    clock = Clock()
    watch = BudgetWatch(tiny_space(top=3), 1.0, clock)
    watch.begin(PLAN, STATE, 9)
    watch.epoch(report(seconds=9e6), STATE)
    clock.now += 1799
    assert not used_up(watch)
    clock.now += 2
    assert used_up(watch)


def cost(**evaluation):
    """Seconds at one second an image of training, half as much again in hand left out."""
    small = {"bound_images": 10, "importance_sampling": {"samples": 100, "images": 5}}
    config = BASE.model_copy(update={"evaluation": EvaluationConfig.model_validate(small | evaluation)})
    return rerun_seconds(rerun_costs(config, 1000), 1.0) / 1.5


def test_rerun_costs_what_it_counts():
    assert cost() == pytest.approx((10 + 500) / 3)
    assert cost(binarisations=10) == pytest.approx(10 * cost())
    hais = {"chains": 2, "temperatures": 3, "leapfrog_steps": 5, "pilot_images": 4, "pilot_passes": 2}
    chains = 2 * (1 + 2 * 5)  # gradients an image
    assert cost(hais={**hais, "images": 6, "enabled": True}) - cost() == pytest.approx(2 / 3 * chains * (6 + 4 * 2))
    sandwich = {"enabled": True, "images": 7, "starts": ["prior", "posterior"]}
    both = cost(hais=hais, sandwich=sandwich) - cost()
    assert both == pytest.approx(2 * 2 / 3 * chains * (2 * 7 + 4 * 2))  # forward and back, from two starts


def test_a_search_for_a_small_error_may_cost_its_budget():
    bound = 10 / 3
    search = {"target": 0.01, "budget_evaluations": 5000}
    assert cost(until_error=search) == pytest.approx(bound + 5000 * 5 / 3)
    assert cost(until_error={**search, "budget_seconds": 400.0}) == pytest.approx(bound + 400)
    for least in ({"budget_evaluations": 3}, {"budget_seconds": 1.0}):  # the first round is done whatever it costs
        assert cost(until_error={**search, **least}) == pytest.approx(cost())


def test_scoring_on_a_gpu_is_slower_than_training_in_bfloat16():
    plain = report(seconds=90.0, epoch=3)
    assert training_seconds_an_image(plain, 10) == pytest.approx(3.0)
    faster = plain.model_copy(update={"precision": "bfloat16", "compiled": True, "compile_seconds": 30.0})
    assert training_seconds_an_image(faster, 10) == pytest.approx(8 * 2.0)
    assert training_seconds_an_image(faster.model_copy(update={"gpus": 0.0}), 10) == pytest.approx(2.0)


def test_a_sweep_that_cannot_fit_is_refused_with_the_numbers(tmp_path, monkeypatch):
    space = tiny_space()
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1100 * 2**20)
    disk.check_room(space, tmp_path / "new" / "folder", 4, 1)
    with pytest.raises(
        SweepError, match=r"400 trials take about .* 1.0 GiB must stay free .* has only 1.1 GiB free; free some space"
    ):
        disk.check_room(space, tmp_path / "new", 400, 1)
    monkeypatch.setattr(disk, "free_bytes", lambda folder: 1000 * 2**20)
    assert disk.lack_of_room(space, tmp_path).startswith("only 1000.0 MiB of disk space is free")
    assert disk.lack_of_room(tiny_space(free_disk=0.5), tmp_path) == ""


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_size_of_a_run_folder_is_about_right(tmp_path, average):
    changes = {
        "model.encoder.mlp.hidden_sizes": (1200,),
        "training.epochs": 1,
        "training.weight_average": average,
        "training.weight_average_images": 20,
    }
    config = build_config(with_values(BASE.model_dump(), changes), "test")
    trainer = Trainer.start(config, tiny_images(), RunFolder(tmp_path / "run"), torch.device("cpu"))
    trainer.run_epoch()
    trainer.finish()
    assert parameter_count(config) == trainer.parameters
    real = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert real < run_folder_bytes(config) < real + 2.1 * 2**20


def test_a_full_disk_is_told_from_other_faults():
    full = RuntimeError("saving")
    full.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert disk.is_out_of_room(full)
    assert disk.is_out_of_room(OSError(errno.EDQUOT, "quota"))
    assert disk.is_out_of_room(RuntimeError("[enforce fail] . PytorchStreamWriter failed writing file data/1"))
    assert not disk.is_out_of_room(OSError(errno.EACCES, "no"))
    assert not disk.is_out_of_room(RuntimeError("CUDA error"))


def test_counting_parameters_does_not_import_the_compiler():
    """It would cost the driver 150 MiB and some seconds."""
    program = (
        "import sys\n"
        "from iafsweep.sweep.cluster.footprint import parameter_count\n"
        "from iafsweep.search_space.files import load_space\n"
        "parameter_count(load_space('mnist').base)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
