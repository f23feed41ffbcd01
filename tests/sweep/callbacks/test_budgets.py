"""What ends a sweep early under Ray, and what takes it up: target, hours, extension, a warm start."""

from dataclasses import replace

import pytest

from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.samplers.warm_start import warm_start
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, read_sweep
from iafsweep.sweep.tune.driver import launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions
from tests.sweep.tiny import open_fake, tiny_images, tiny_space

IMAGES = tiny_images()
OPTIONS = LaunchOptions(node=Node("this machine", 2, 0), open_trainer=open_fake)


def sweep_again(space, folder, options=OPTIONS, **changes):
    """Go on with changed settings of the sweep."""
    changed = replace(space, sweep=space.sweep.model_copy(update=changes))
    return launch_sweep(changed, folder, IMAGES, options, SweepCallback())


@pytest.mark.slow
def test_a_target_an_extension_and_a_warm_start(ray_cluster, tmp_path):
    """The bound of a trial is 125 + depth - log10(learning rate): depth 0 meets a target of 128, others hardly."""
    folder, space = SweepFolder(tmp_path / "sweep"), tiny_space(epochs=1, trials=30, sampler="tpe", target=128.0)
    reached = launch_sweep(space, folder, IMAGES, OPTIONS, SweepCallback())
    assert (reached.status, reached.exit_code) == ("stopped", 0)
    assert "the target of 128 nats is reached" in reached.reason
    bounds = [trial.finished.best_value for trial in reached.state.finished]
    assert bounds[-1] <= 128
    assert len(bounds) > 1
    assert all(bound > 128 for bound in bounds[:-1])
    assert len(reached.state.trials) < 30

    count = len(reached.state.trials) + 5
    extended = sweep_again(space, folder, target=None, trials=count)
    assert extended.status == "completed"
    assert extended.state.trials[: count - 5] == reached.state.trials
    assert len(extended.state.finished) == count
    assert load_sweep_space(folder).sweep.trials == count

    warmed = SweepFolder(tmp_path / "warmed")
    fresh = tiny_space(epochs=1, trials=2, sampler="tpe")
    assert warm_start(fresh, warmed, read_sweep(folder)) == (count, count)
    warm = launch_sweep(fresh, warmed, IMAGES, OPTIONS, SweepCallback())
    assert warm.status == "completed"
    assert len(warm.state.known) == count
    cold = reached.state.trials[0].proposed
    assert warm.state.trials[0].proposed.seed != cold.seed  # the same seed of the sweep, another history

    none = SweepFolder(tmp_path / "hours")
    out_of_time = sweep_again(fresh, none, replace(OPTIONS, hours=1e-7))
    assert (out_of_time.status, out_of_time.state.trials) == ("stopped", ())
    assert "hours are used up" in read_ledger(none.ledger).sessions[-1].reason
