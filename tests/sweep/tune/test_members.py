"""A real sweep with each sampler and scheduler; its ledger, played again without Ray, gives the same decisions."""

import pytest

from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.base import make_stop_rule
from iafsweep.sweep.storage.events import Finished, Proposed, Rung
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from tests.sweep.tiny import open_fake, tiny_images, tiny_space

SWEEPS = [
    {"sampler": "gp", "scheduler": "hyperband", "trials": 6},
    {"sampler": "cmaes", "scheduler": "median", "trials": 6},
    {"sampler": "nsga2", "scheduler": "asha", "trials": 8, "objective": "bound_and_time"},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SWEEPS, ids=["gp-hyperband", "cmaes-median", "nsga2-asha"])
def test_a_real_sweep_is_what_its_ledger_says(ray_cluster, tmp_path, settings):
    space = tiny_space(epochs=6, grace_epochs=1, reduction_factor=2, **settings | {"max_concurrent": 2})
    folder = SweepFolder(tmp_path / "sweep")
    options = LaunchOptions(node=Node("this machine", 2, 0), open_trainer=open_fake)
    outcome = launch_sweep(space, folder, tiny_images(), options, SweepCallback())
    assert (outcome.status, len(outcome.state.finished)) == ("completed", settings["trials"])
    state, decided = read_ledger(folder.ledger), []
    milestones = make_stop_rule(space, replay(state.header, [])).milestones
    for number, row in enumerate(state.events):
        before = replay(state.header, state.events[:number])
        if isinstance(row, Proposed):
            found = make_proposer(space).propose(before)
            assert (found.values, found.key) == (row.parameters, row.key)
        if isinstance(row, Rung):
            assert not make_stop_rule(space, before).record(row.trial, row.epoch, row.value)
            decided.append(False)
        if isinstance(row, Finished) and row.status == "stopped":
            assert row.epochs in milestones
            assert make_stop_rule(space, before).record(row.trial, row.epochs, row.value)
            decided.append(True)
    assert set(decided) == {True, False}
