from dataclasses import replace

import pytest

from iafsweep.errors import SweepError
from iafsweep.search_space.distributions import IntRange
from iafsweep.search_space.space import Parameter
from iafsweep.sweep.samplers.warm_start import warm_start
from iafsweep.sweep.storage.events import Finished, Proposed
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, open_ledger, read_sweep
from tests.sweep.tiny import DEPTH, RATE, tiny_space

SPACE = tiny_space(sampler="tpe")


@pytest.fixture
def earlier(tmp_path):
    folder = SweepFolder(tmp_path / "earlier")
    folder.create()
    with open_ledger(SPACE, folder) as ledger:
        for number, rate in enumerate((2e-3, 3e-3, 4e-3), start=1):
            name = f"t000{number}"
            values = {DEPTH: 0, RATE: rate}
            ledger.append(Proposed(trial=name, number=number, parameters=values, seed=0, key=name, time="t"))
            if number < 3:
                ledger.append(
                    Finished(
                        trial=name,
                        status="completed",
                        epochs=4,
                        best_value=90.0,
                        seconds=1.0,
                        gpu_seconds=0.0,
                        time="t",
                    )
                )
    return folder


def test_results_are_copied_into_the_new_ledger(earlier, tmp_path):
    folder = SweepFolder(tmp_path / "new")
    assert warm_start(SPACE, folder, read_sweep(earlier)) == (2, 2)
    state = read_ledger(folder.ledger)
    assert [known.source for known in state.known] == ["earlier/t0001", "earlier/t0002"]
    assert state.trials == ()
    with pytest.raises(SweepError, match="has already started; a warm start needs a new one"):
        warm_start(SPACE, folder, read_sweep(earlier))


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "nsga2"])
def test_every_sampler_that_learns_takes_it(earlier, tmp_path, sampler):
    space = tiny_space(sampler=sampler, objective="bound_and_time" if sampler == "nsga2" else "bound")
    assert warm_start(space, SweepFolder(tmp_path / "new"), read_sweep(earlier)) == (2, 2)


@pytest.mark.parametrize(("epochs", "status"), [(2, "completed"), (4, "completed"), (5, "stopped")])
def test_bounds_of_a_shorter_sweep_are_no_final_ones(earlier, tmp_path, epochs, status):
    folder = SweepFolder(tmp_path / "new")
    warm_start(tiny_space(epochs=epochs, sampler="tpe"), folder, read_sweep(earlier))
    known = read_ledger(folder.ledger).known
    assert {(row.status, row.epochs, row.best_value) for row in known} == {(status, 4, 90.0)}


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("place", ["ledger.os.write", "ledger.write_text", "stored_sweep.write_text"])
def test_killed_at_any_moment_it_knows_all_or_is_no_sweep(earlier, tmp_path, monkeypatch, place):
    """Else `resume` would go on without what it was told, and say nothing."""

    def kill(*arguments):
        raise Killed

    folder = SweepFolder(tmp_path / "new")
    monkeypatch.setattr(f"iafsweep.sweep.storage.{place}", kill)
    try:
        warm_start(SPACE, folder, read_sweep(earlier))
    except Killed:
        pass
    monkeypatch.undo()
    if folder.space.exists():
        assert len(read_sweep(folder).state.known) == 2
    else:
        with pytest.raises(SweepError, match="is not a sweep folder"):
            load_sweep_space(folder)


def test_what_does_not_fit_is_left_out_and_nothing_at_all_is_refused(earlier, tmp_path):
    other = replace(SPACE, parameters=(Parameter(DEPTH, IntRange(1, 3)), *SPACE.parameters[1:]))
    with pytest.raises(SweepError, match="none of the 2 ended trials of .* lies in this search space"):
        warm_start(other, SweepFolder(tmp_path / "new"), read_sweep(earlier))
    assert not (tmp_path / "new").exists()


def test_other_images_and_deaf_samplers_are_refused(earlier, tmp_path):
    new = SweepFolder(tmp_path / "new")
    data = SPACE.base.data.model_copy(update={"split_seed": 1})
    with pytest.raises(SweepError, match="other images or another split"):
        warm_start(replace(SPACE, base=SPACE.base.model_copy(update={"data": data})), new, read_sweep(earlier))
    with pytest.raises(SweepError, match="'random' would ignore it"):
        warm_start(tiny_space(sampler="random"), new, read_sweep(earlier))
