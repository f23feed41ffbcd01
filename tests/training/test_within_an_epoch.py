"""Ended at any step and gone on with, a run is bit for bit the one that nobody disturbed."""

import pytest
import torch

from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder, Trainer, load_trained_model, trainer
from iafsweep.training.checkpoint import load_last
from iafsweep.training.computing import Computing
from tests.training.test_trainer import changed, metrics, stop_at_batch, train

BATCHES = 7
CLOCKS = {"seconds", "compile_seconds"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Trains a run that nobody disturbs, once for each recipe."""
    made = {}

    def make(config, images):
        if config not in made:
            made[config] = tmp_path_factory.mktemp("whole") / "run"
            train(config, images, made[config]).finish()
        return RunFolder(made[config])

    return make


def ended_at(config, images, path, epoch, batch):
    """A run folder that was left in good order after so many batches of an epoch (1 is the first)."""
    made = train(config, images, path, epochs=epoch - 1)
    with pytest.raises(KeyboardInterrupt):
        made.run_epoch(stop_at_batch(batch))
    made.interrupt()
    return made.folder


def gone_on(config, images, folder, cpu):
    again = Trainer.resume(config, images, folder, cpu)
    seen = []
    while again.epochs_done < config.training.epochs:
        again.run_epoch(seen.append)
    again.finish()
    return len(seen)


def is_equal(one, two):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(is_equal(one[key], two[key]) for key in one if key not in CLOCKS)
    return len(one) == len(two) and all(map(is_equal, one, two)) if isinstance(one, list) else one == two


def check_equal(one, two):
    assert metrics(one) == metrics(two)
    for file in (one.last, one.best):
        assert is_equal(*(torch.load(each.path / file.name, weights_only=True) for each in (one, two)))
    for file in (one.samples, one.reconstructions):
        assert file.read_bytes() == (two.path / file.name).read_bytes()
    assert {path.name for path in one.path.iterdir()} == {path.name for path in two.path.iterdir()}


@pytest.mark.parametrize(("epoch", "batch", "every"), [(1, 1, 1), (1, BATCHES, 3), (2, 3, 3), (4, BATCHES - 1, 3)])
def test_a_run_ended_at_any_step_goes_on_as_if_it_had_not_been(
    config, images, tmp_path, cpu, whole, epoch, batch, every
):
    recipe = changed(config, training={"checkpoint_every_epochs": every})
    folder = ended_at(recipe, images, tmp_path / "run", epoch, batch)
    state = folder.read_state()
    assert (state.status, state.epochs, load_last(folder, cpu).epoch) == ("interrupted", epoch - 1, epoch - 1)
    assert gone_on(recipe, images, folder, cpu) == (4 - epoch) * BATCHES + BATCHES - batch
    check_equal(folder, whole(recipe, images))
    assert f"interrupted after epoch {epoch - 1} plus {batch} of {BATCHES} batches" in folder.log.read_text()
    assert f"resumed after epoch {epoch - 1} plus {batch} of {BATCHES} batches" in folder.log.read_text()


def test_a_run_ended_at_every_step_of_two_epochs_goes_on_each_time(config, images, tmp_path, cpu, whole):
    recipe = changed(config, training={"epochs": 2})
    made, done = Trainer.start(recipe, images, RunFolder(tmp_path / "run"), cpu), 0
    while made.epochs_done < 2:
        try:
            made.run_epoch(stop_at_batch(1))
        except KeyboardInterrupt:
            done += 1
            made.interrupt()
            made = Trainer.resume(recipe, images, made.folder, cpu)
    made.finish()
    assert done == 2 * BATCHES
    check_equal(made.folder, whole(recipe, images))


@pytest.mark.slow
def test_a_compiled_run_ended_at_a_step_goes_on_as_if_it_had_not_been(config, images, tmp_path, cpu, whole):
    recipe = changed(config, training={"compile": "on", "epochs": 2})
    folder = ended_at(recipe, images, tmp_path / "run", 2, 3)
    assert load_last(folder, cpu).compiled
    gone_on(recipe, images, folder, cpu)
    check_equal(folder, whole(recipe, images))


def test_what_computes_within_an_epoch_goes_on_computing_so(config, images, tmp_path, cpu):
    """Compiling failed in its first step: the checkpoint of the epoch before it does not know that yet."""
    made = Trainer.start(config, images, RunFolder(tmp_path / "run"), cpu)
    made._step.computing = Computing("bfloat16", compiled=False)
    with pytest.raises(KeyboardInterrupt):
        made.run_epoch(stop_at_batch(2))
    made.interrupt()
    again = Trainer.resume(config, images, made.folder, cpu)
    assert again.state.precision == "bfloat16"
    again.close()


class Clock:
    """A clock on which each look takes a minute."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        self.seconds += 60.0
        return self.seconds

    def perf_counter(self):
        return self.seconds


def kill_at_batch(made, batch):
    with pytest.raises(KeyboardInterrupt):
        made.run_epoch(stop_at_batch(batch))
    made.close()


@pytest.mark.parametrize("every", [1, 3])
def test_a_killed_run_loses_at_most_some_minutes(config, images, tmp_path, cpu, whole, monkeypatch, every):
    recipe = changed(config, training={"checkpoint_every_epochs": every, "checkpoint_every_minutes": 3.0})
    made = train(recipe, images, tmp_path / "run", epochs=1)
    with monkeypatch.context() as patched:
        patched.setattr(trainer, "time", Clock())
        made._due = 240.0
        kill_at_batch(made, 6)  # a minute a batch: saved after 4
    again = Trainer.resume(recipe, images, made.folder, cpu)
    seen = []
    again.run_epoch(seen.append)
    again.close()
    assert len(seen) == BATCHES - 4
    gone_on(recipe, images, made.folder, cpu)
    check_equal(made.folder, whole(recipe, images))


def test_a_run_whose_epochs_are_short_writes_nothing_within_them(config, images, tmp_path, cpu):
    made = train(config, images, tmp_path / "run", epochs=1)
    kill_at_batch(made, 6)
    assert not made.folder.step.exists()


def test_the_seconds_of_an_epoch_are_those_of_all_its_parts(config, images, tmp_path, cpu, monkeypatch):
    class Minutes(Clock):
        def perf_counter(self):
            return self.monotonic()

    monkeypatch.setattr(trainer, "time", Minutes())
    made = Trainer.start(config, images, RunFolder(tmp_path / "whole"), cpu)
    at_once = made.run_epoch().seconds
    made.close()
    folder = ended_at(config, images, tmp_path / "run", 1, 4)
    again = Trainer.resume(config, images, folder, cpu)
    row = again.run_epoch()
    again.close()
    assert row.seconds >= at_once
    assert again.seconds == row.seconds
    assert row.images_per_second <= 50 * BATCHES / (60 * BATCHES)


def test_a_step_of_another_epoch_or_a_damaged_one_is_left_out_and_said(config, images, tmp_path, cpu, whole):
    folder = ended_at(config, images, tmp_path / "run", 2, 3)
    earlier = folder.step.read_bytes()
    again = Trainer.resume(config, images, folder, cpu)
    again.run_epoch()
    assert not folder.step.exists()
    again.close()
    folder.step.write_bytes(earlier)  # killed before it could be removed
    Trainer.resume(config, images, folder, cpu).close()
    assert not folder.step.exists()
    assert "starts again" not in folder.log.read_text()
    folder.step.write_bytes(earlier[:1000])
    assert gone_on(config, images, folder, cpu) == 2 * BATCHES
    assert "the epoch starts again" in folder.log.read_text()
    check_equal(folder, whole(config, images))


def test_an_epoch_begun_on_another_kind_of_device_begins_again(config, images, tmp_path, cpu, whole):
    """Its generators draw other numbers."""
    folder = ended_at(config, images, tmp_path / "run", 2, 3)
    content = torch.load(folder.step, weights_only=True)
    torch.save({**content, "device": "cuda"}, folder.step)
    assert gone_on(config, images, folder, cpu) == 3 * BATCHES
    assert "was written on cuda" in folder.log.read_text()
    check_equal(folder, whole(config, images))


def test_scoring_a_run_that_ended_within_an_epoch_scores_its_whole_epochs(config, images, tmp_path, cpu):
    folder = ended_at(config, images, tmp_path / "run", 2, 3)
    train(config, images, tmp_path / "one", epochs=1).finish()
    ours, theirs = (
        load_trained_model(each, "last", cpu).model.state_dict() for each in (folder, RunFolder(tmp_path / "one"))
    )
    assert is_equal(ours, theirs)
    assert [row.epoch for row in read(folder.metrics)] == [1]


def test_a_fault_within_a_step_saves_no_half_of_it(config, images, tmp_path, cpu, whole):
    made = train(config, images, tmp_path / "run", epochs=1)
    step, seen = made._step, []

    def failing(batch, weight):
        seen.append(batch)
        means = step(batch, weight)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return means

    failing.computing, failing.compile_seconds, failing.close = step.computing, 0.0, step.close
    failing.objective = step.objective
    made._step = failing
    with pytest.raises(KeyboardInterrupt):
        made.run_epoch()
    made.interrupt()
    assert gone_on(config, images, made.folder, cpu) == 3 * BATCHES
    check_equal(made.folder, whole(config, images))
