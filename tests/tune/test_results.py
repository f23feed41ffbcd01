"""Results of Tune's as a model and as a sweep, without Ray: made of trials that are driven by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem
from ray.tune import Checkpoint, Result

import iafsweep
from iafsweep.api.results import export
from iafsweep.errors import RunFolderError, SweepError, UserError
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, read_sweep
from iafsweep.training.checkpoint import load_best
from iafsweep.tune import import_results
from iafsweep.tune import load_best as best_of
from tests.tune.plain import DEPTH, RATE, WIDTH, base, images, made

STOPPED = {DEPTH: 0, RATE: 0.001, "training.gradient_clip": None}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A trial that completed, two seeds of another, one that was stopped, goes on, failed, never began, diverged."""
    path = tmp_path_factory.mktemp("checkpoints")
    patch = pytest.MonkeyPatch()
    patch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(path / "ray_results"))
    kind, results = made(epochs=2), []
    wide = {DEPTH: 1, WIDTH: 4, RATE: 0.004, "model.encoder.mlp.hidden_sizes": [12, 8]}
    asked = [
        ({DEPTH: 1, RATE: 0.01, "training.gradient_clip": 9.0}, 2),
        (wide | {"repeat": 1}, 2),
        (wide | {"repeat": 2}, 2),
        (STOPPED, 1),
    ]
    for values, epochs in [*asked, ({DEPTH: 2, RATE: 0.002}, 1), ({RATE: 1e30}, 1)]:
        trial = kind(values)
        for _ in range(epochs):
            report = trial.train()
        place = path / str(len(results))
        saved = trial.save(str(place))
        trial.stop()
        results.append(made_result(report, saved.checkpoint, place))
    patch.undo()
    results[3] = replace(results[3], metrics=results[3].metrics | {"done": True})  # as Tune marks what ASHA stops
    failed = replace(results[4], checkpoint=None, error=RuntimeError("CUDA error: a fault"))
    never = replace(
        results[4], checkpoint=None, error=RuntimeError("in its set-up"), metrics={"config": {"model.latnt_size": 4}}
    )
    return [*results[:5], failed, never, results[5]]


def made_result(report, checkpoint, path):
    return Result(metrics=report, checkpoint=checkpoint, error=None, path=str(path))


@pytest.fixture
def imported(found, tmp_path):
    with pytest.warns(UserWarning, match="left out 1 trial that ended before the first report"):
        return import_results(found, tmp_path / "imported")


def test_the_best_is_that_of_the_lowest_bound(found):
    run = best_of(found, "cpu")
    bounds = [result.metrics["best_value"] for result in found[:5]]
    lowest = found[bounds.index(min(bounds))]
    assert run.path == Path(lowest.checkpoint.path)
    assert run.epoch == lowest.metrics["best_epoch"]
    weights = load_best(RunFolder(run.path), torch.device("cpu")).model
    assert all(torch.equal(tensor, weights[name]) for name, tensor in run.model.state_dict().items())


def test_a_sweep_of_listed_configurations(found, imported):
    board = imported.leaderboard.sort_values("trial")
    assert list(board["status"]) == ["completed"] * 3 + ["stopped", "interrupted", "failed", "diverged"]
    assert list(board["epochs"].dropna()) == [2, 2, 2, 1, 1, 1, 0]
    for row, result in zip(board.to_dict("records")[:4], found, strict=False):
        assert row["validation_negative_elbo"] == result.metrics["best_value"]
        assert row["parameters"] == result.metrics["parameters"]
        assert row["seed"] == RunFolder(Path(result.checkpoint.path)).read_config().training.seed
    assert set(imported.parameters) == {DEPTH, RATE, WIDTH, "training.gradient_clip", "model.encoder.mlp.hidden_sizes"}
    first = imported.rows[0]
    assert imported.best("cpu").path == imported.path / "trials" / first.trial
    assert imported.problems == ()
    assert board["error"].iloc[-2] == "CUDA error: a fault"
    export(imported.path)
    stored = read_sweep(SweepFolder(imported.path))
    chosen = iafsweep.load_config(stored.folder.best)
    trained = RunFolder(stored.folder.trial(first.trial)).read_config()
    assert chosen.model_copy(update={"title": ""}) == trained.model_copy(update={"title": ""})


def test_the_ledger_is_one_that_a_driver_goes_on_with(imported):
    space = load_sweep_space(SweepFolder(imported.path))
    state = read_sweep(SweepFolder(imported.path)).state
    assert [trial.trial for trial in state.unfinished] == ["t0005"]
    assert state.problems == ()
    for trial in state.trials:
        candidate = trial.candidate(space)
        assert candidate is not None
        assert (candidate.key, candidate.config.training.seed) == (trial.proposed.key, trial.proposed.seed)
    assert RunFolder(imported.path / "trials" / "t0005").read_state().status == "interrupted"
    assert make_proposer(space).propose(state) is None or len(state.trials) == space.sweep.trials


def test_what_a_population_has_copied_and_not_trained_is_left_out(found, tmp_path):
    given = replace(found[4], checkpoint=found[0].checkpoint)
    sweep = import_results([found[0], given], tmp_path / "imported")
    assert (sweep.path / "trials" / "t0001" / "last.pt").exists()
    assert not (sweep.path / "trials" / "t0002").exists()


def test_checkpoints_that_lie_on_another_storage(found, tmp_path):
    here = Path(found[0].checkpoint.path)
    there = SubTreeFileSystem(str(here.parent), LocalFileSystem())
    stored = [replace(found[0], checkpoint=Checkpoint(here.name, filesystem=there))]
    run, local = best_of(stored, "cpu"), best_of(found[:1], "cpu")
    assert run.path != local.path
    state = local.model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in run.model.state_dict().items())
    assert run.images("test", 3, images=images()).shape == (3, 1, 28, 28)
    sweep = import_results(stored, tmp_path / "imported")
    assert sweep.best("cpu").metrics == local.metrics


def test_a_single_configuration(found, tmp_path):
    plain = replace(found[3], metrics=found[3].metrics | {"config": {}}, checkpoint=None)
    sweep = import_results([found[0], plain], tmp_path / "imported")
    assert [row.status for row in sweep.rows] == ["completed", "stopped"]


def test_what_cannot_be_imported_leaves_nothing(found, tmp_path):
    to = tmp_path / "imported"
    with pytest.raises(UserError, match="none of 1 trial has left a checkpoint"):
        import_results([found[5]], to)
    with pytest.raises(UserError, match=r"CheckpointConfig\(checkpoint_frequency=1"):
        best_of([found[5]])
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=r"is not a checkpoint of iafsweep\.tune\.trainable"):
        import_results([replace(found[0], checkpoint=Checkpoint(tmp_path / "other"))], to)
    with pytest.raises(RunFolderError, match="is missing"):
        import_results([replace(found[0], checkpoint=Checkpoint(tmp_path / "gone"))], to)
    assert not list(tmp_path.glob("*imported*"))
    to.mkdir()
    (to / "file").touch()
    with pytest.raises(SweepError, match="is not empty"):
        import_results(found, to)


def test_experiments_with_other_bases_are_not_mixed(found, tmp_path):
    other = iafsweep.tune.trainable(base(epochs=1), images=images())({DEPTH: 1, RATE: 0.01})
    report, saved = other.train(), other.save(str(tmp_path / "checkpoint"))
    other.stop()
    with pytest.raises(UserError, match="different bases"):
        import_results([found[0], made_result(report, saved.checkpoint, tmp_path)], tmp_path / "imported")
