"""A real sweep's ledger, played through a rehearsal: the same proposals and decisions."""

import pytest

from iafsweep.rehearsal.clock import rehearse
from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.sweep import RehearsedSweep
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.storage.events import Began, Finished, Proposed, Reopened, Rung, Started
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from tests.compatibility.folders import VERSIONS, unpack
from tests.sweep.tiny import FakeTrainer, open_fake, tiny_images, tiny_space

NODE = Node("this machine", 2, 0)


def play(space, rows):
    """Tell a rehearsed sweep what happened, in the ledger's order; count proposals and decisions, all the same."""
    sweep, promoted, told, proposed, decided = None, None, [], 0, 0
    for row in rows:
        if sweep is None or isinstance(row, Began):  # a driver knows nothing but the ledger
            sweep = RehearsedSweep(space, told)
            waiting = [trial.trial for trial in sweep.state.unfinished]
        told.append(row)
        if isinstance(row, Proposed):
            while waiting:
                assert sweep.begin(0.0).trial == waiting.pop(0)
            trial = sweep.begin(0.0)
            same = ("trial", "number", "parameters", "seed", "key", "repeat")
            assert trial.proposed.model_dump(include=set(same)) == row.model_dump(include=set(same))
            proposed += 1
        elif isinstance(row, Reopened):
            promoted = sweep.begin(0.0)
            assert promoted.trial == row.trial
        elif isinstance(row, Rung) and promoted is not None:
            assert (promoted.trial, promoted.rungs[-1].epoch) == (row.trial, row.epoch)
            promoted = None
        elif isinstance(row, Rung):
            assert not sweep.report(row.trial, row.epoch, row.value, 0.0)
            decided += 1
        elif isinstance(row, Finished):
            if row.status == "stopped":
                assert sweep.report(row.trial, row.epochs, row.value, 0.0)
                decided += 1
            sweep.take(row)
        elif not isinstance(row, Started):
            sweep.take(row)
    return proposed, decided


@pytest.mark.parametrize("version", VERSIONS)
def test_a_sweep_of_an_earlier_version(version, tmp_path):
    sweep = read_sweep(SweepFolder(unpack(version, "finished", tmp_path)))
    proposed, decided = play(sweep.space, sweep.state.events)
    assert proposed == len(sweep.state.trials) > 3
    assert decided == sum(
        isinstance(row, Rung) or (isinstance(row, Finished) and row.status == "stopped") for row in sweep.state.events
    )


SPACE = {"epochs": 9, "sampler": "tpe", "scheduler": "asha", "grace_epochs": 1, "reduction_factor": 2}
OPTIONS = LaunchOptions(node=NODE, open_trainer=open_fake)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "asha_promotion"])
def test_a_sweep_that_ray_ran_is_made_again_by_the_clock_alone(ray_cluster, tmp_path, scheduler):
    """One trial at a time, so that the order in which they end is known."""
    space, folder = tiny_space(**SPACE | {"scheduler": scheduler}, trials=8), SweepFolder(tmp_path / "sweep")
    real = launch_sweep(space, folder, tiny_images(), OPTIONS, SweepCallback()).state
    assert {trial.finished.status for trial in real.trials} == {"completed", "stopped"}
    assert any(trial.reopened for trial in real.trials) == (scheduler == "asha_promotion")

    def trained(trial):
        fresh = tmp_path / f"{trial.trial}-{trial.reopened}"
        fake, bounds = FakeTrainer(trial.candidate(space).config, None, fresh), []
        while not fake.is_done:
            bounds.append(fake.run_epoch().validation_negative_elbo)
        return Curve(trial.proposed.parameters, tuple(bounds), (1.0,) * 9, "completed")

    rehearsed = rehearse(space, trained, 1).state
    same = {"trial", "number", "key", "seed", "epoch", "value", "status", "epochs", "best_epoch"}
    found, wanted = (
        [row.model_dump(include=same) for row in state.events if isinstance(row, Proposed | Rung | Finished)]
        for state in (rehearsed, real)
    )
    assert found == wanted


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["asha", "asha_promotion"])
def test_a_sweep_that_ray_ran_two_at_a_time_and_went_on_with(ray_cluster, tmp_path, scheduler):
    """In the order of its ledger, and with a driver of its own for what was added."""
    folder = SweepFolder(tmp_path / "sweep")
    for trials in (5, 9):
        space = tiny_space(**SPACE | {"scheduler": scheduler}, trials=trials, max_concurrent=2)
        state = launch_sweep(space, folder, tiny_images(), OPTIONS, SweepCallback()).state
    assert sum(isinstance(row, Began) for row in state.events) == 2
    proposed, decided = play(space, state.events)
    assert proposed == 9
    assert decided > 9
