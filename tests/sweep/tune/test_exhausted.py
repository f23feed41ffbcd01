"""A sweep that is asked for more trials than its space holds has ended, and nobody is told to go on with it."""

from dataclasses import replace

from iafsweep.results.listing import state_of
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.events import Ended, Finished, Proposed, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import open_ledger, read_sweep
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from tests.sweep.tiny import finite_space, tiny_images

END = {"status": "completed", "epochs": 1, "best_epoch": 1, "best_value": 1.0, "seconds": 1.0, "gpu_seconds": 0.0}


def test_more_trials_than_there_are_configurations_are_an_end(tmp_path):
    folder = SweepFolder(tmp_path / "sweep")
    space = finite_space(sampler="grid", max_concurrent=1, trials=7)
    folder.create()
    with folder.lock(), open_ledger(space, folder) as ledger:
        for number in range(1, space.size + 1):
            name, found = trial_name(number), make_proposer(space).propose(ledger.state)
            ledger.append(Proposed(trial=name, number=number, **found.proposal, time="t"))
            ledger.append(Finished(trial=name, **END, time="t"))
        ledger.append(Ended(outcome="completed", time="t"))
    more = replace(space, sweep=space.sweep.model_copy(update={"trials": space.size + 1}))
    for _ in range(2):
        outcome = launch_sweep(
            more, folder, tiny_images(), LaunchOptions(node=Node("this machine", 2, 0)), SweepCallback()
        )
        assert outcome.status == "exhausted"
        assert state_of(read_sweep(folder)) == "exhausted"
    assert [event.outcome for event in outcome.state.sessions] == ["completed", "exhausted"]
