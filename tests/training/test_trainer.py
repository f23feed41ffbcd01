import json
import shutil

import pytest
import torch

from iafsweep.config import RunConfig, field_paths
from iafsweep.data import TrainingImages
from iafsweep.errors import RunFolderError
from iafsweep.run_files.metrics_file import read
from iafsweep.training import DivergedError, RunFolder, Trainer, comparison, load_trained_model
from iafsweep.training.checkpoint import load_last
from tests.training.conftest import TINY

CLOCK = {"seconds", "images_per_second"}


def metrics(folder):
    """All metrics of a run but the clock's."""
    return [row.model_dump(exclude=CLOCK) for row in read(folder.metrics)]


def train(config, images, path, epochs=None):
    trainer = Trainer.start(config, images, RunFolder(path), torch.device("cpu"))
    for _ in range(config.training.epochs if epochs is None else epochs):
        trainer.run_epoch()
    return trainer


def changed(config, **sections):
    values = config.model_dump()
    for section, fields in sections.items():
        values[section].update(fields)
    return RunConfig.model_validate(values)


def test_the_bound_falls_and_the_folder_is_complete(config, images, tmp_path):
    trainer = train(changed(config, training={"epochs": 15, "kl_warmup_epochs": 0}), images, tmp_path / "run")
    trainer.finish()
    folder = RunFolder(tmp_path / "run")
    rows = read(folder.metrics)
    assert rows[-1].validation_negative_elbo < rows[0].validation_negative_elbo - 100
    assert rows[-1].train_negative_elbo == pytest.approx(rows[-1].train_reconstruction + rows[-1].train_kl)
    written = {path.name for path in folder.path.iterdir()}
    assert written == {
        "config.toml", "metrics.jsonl", "run.log", "state.json", "best.pt", "last.pt", "tensorboard",
        "samples.png", "reconstructions.png", "data.png",
    }  # fmt: skip
    state = folder.read_state()
    assert (state.status, state.epochs, state.parameters) == ("completed", 15, trainer.parameters)
    assert state.best is not None
    assert state.best.validation_negative_elbo == min(row.validation_negative_elbo for row in rows)
    assert folder.read_config() == trainer.config


def test_one_batch_can_be_overfitted(config, images, tmp_path):
    few = TrainingImages(images.training[:50], images.validation)
    recipe = {"epochs": 60, "kl_warmup_epochs": 0, "learning_rate": 0.02, "checkpoint_every_epochs": 60}
    trainer = Trainer.start(changed(config, training=recipe), few, RunFolder(tmp_path / "run"), torch.device("cpu"))
    bounds = [trainer.run_epoch().train_negative_elbo for _ in range(60)]
    trainer.close()
    assert bounds[-1] < bounds[0] / 3


def test_same_seed_same_numbers_other_seed_others(config, images, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(changed(config, training={"seed": seed}), images, tmp_path / name).finish()
    a, b, c = (metrics(RunFolder(tmp_path / name)) for name in "abc")
    assert a == b
    assert a[0]["train_loss"] != c[0]["train_loss"]


def test_training_leaves_the_global_generator_alone(config, images, tmp_path):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train(config, images, tmp_path / "run", epochs=1).finish()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """A run of the usual configuration that nobody disturbed."""
    trainer = train(RunConfig.model_validate(TINY), images, tmp_path_factory.mktemp("whole") / "run")
    trainer.finish()
    return trainer.folder


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_resume_equals_uninterrupted(config, images, tmp_path, cpu, whole, stop_after):
    train(config, images, tmp_path / "parts", epochs=stop_after).close()
    folder = RunFolder(tmp_path / "parts")
    trainer = Trainer.resume(config, images, folder, cpu)
    assert trainer.epochs_done == stop_after
    while trainer.epochs_done < config.training.epochs:
        trainer.run_epoch()
    trainer.finish()
    assert metrics(folder) == metrics(whole)
    for name in ("last", "best"):
        one, two = (load_trained_model(each, name, cpu) for each in (folder, whole))
        assert one.epoch == two.epoch
        ours, theirs = one.model.state_dict(), two.model.state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_lines_beyond_the_checkpoint_are_cut(config, images, tmp_path, cpu):
    recipe = changed(config, training={"checkpoint_every_epochs": 3})
    train(config=changed(recipe), images=images, path=tmp_path / "whole").finish()
    train(recipe, images, tmp_path / "run", epochs=2).close()
    folder = RunFolder(tmp_path / "run")
    again = Trainer.resume(recipe, images, folder, cpu)
    assert (again.epochs_done, read(folder.metrics)) == (0, [])
    again.close()
    folder.last.unlink()
    with pytest.raises(RunFolderError, match=r"last\.pt is missing"):
        Trainer.resume(recipe, images, folder, cpu)
    train(recipe, images, tmp_path / "other", epochs=3).close()
    other = RunFolder(tmp_path / "other")
    text = other.metrics.read_text()
    other.metrics.write_text(text + text.splitlines()[0].replace('"epoch":1', '"epoch":4') + '\n{"epo')
    trainer = Trainer.resume(recipe, images, other, cpu)
    assert [row.epoch for row in read(other.metrics)] == [1, 2, 3]
    trainer.run_epoch()
    trainer.close()
    assert metrics(other) == metrics(RunFolder(tmp_path / "whole"))


def test_more_epochs_and_another_evaluation_may_be_asked_for(config, images, tmp_path, cpu, whole):
    shutil.copytree(whole.path, tmp_path / "run")
    longer = changed(config, training={"epochs": 5}, evaluation={"seed": 9})
    trainer = Trainer.resume(longer, images, RunFolder(tmp_path / "run"), cpu)
    assert trainer.run_epoch().epoch == 5
    trainer.finish()
    assert RunFolder(tmp_path / "run").read_config() == longer
    train(longer, images, tmp_path / "whole").finish()
    assert metrics(RunFolder(tmp_path / "run")) == metrics(RunFolder(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"learning_rate": 0.5}}, r"training\.learning_rate = 0\.5 \(trained with 0\.002\)"),
        ({"training": {"epochs": 2}}, r"has already trained 4 epochs, more than training\.epochs = 2"),
        ({"data": {"split_seed": 3}}, r"data\.split_seed = 3 \(trained with 0\)"),
        ({"model": {"latent_size": 5}}, r"model\.latent_size = 5 \(trained with 4\)"),
    ],
)
def test_any_other_difference_is_an_error(config, images, tmp_path, cpu, whole, change, message):
    shutil.copytree(whole.path, tmp_path / "run")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=message):
        Trainer.resume(changed(config, **change), images, RunFolder(tmp_path / "run"), cpu)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_only_whole_names_of_fields_are_free_to_change():
    assert set(field_paths(RunConfig)) >= comparison._FREE_FIELDS
    assert all(section.endswith(".") for section in comparison._FREE_SECTIONS)


def test_a_folder_that_is_not_empty_is_an_error(config, images, tmp_path, cpu):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="is not empty; name another folder"):
        Trainer.start(config, images, RunFolder(tmp_path / "run"), cpu)
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no config\.toml"):
        Trainer.resume(config, images, RunFolder(tmp_path / "run"), cpu)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_divergence_stops_and_keeps_the_last_good_checkpoint(config, images, tmp_path, cpu):
    trainer = train(config, images, tmp_path / "run", epochs=2)
    folder = RunFolder(tmp_path / "run")
    good = folder.last.read_bytes()
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="diverged in epoch 3"):
        trainer.run_epoch()
    trainer.close()
    assert folder.last.read_bytes() == good
    assert folder.read_state().status == "diverged"
    assert folder.read_state().epochs == 2
    line = json.loads(folder.metrics.read_text().splitlines()[-1])
    assert line["train_loss"] == "NaN"
    assert load_trained_model(folder, "last", cpu).epoch == 2


def test_without_validation_there_is_only_the_last(config, images, tmp_path, cpu):
    alone = changed(config, data={"validation_images": 0}, evaluation={"checkpoint": "last"})
    trainer = train(alone, TrainingImages(images.training, images.validation[:0]), tmp_path / "run")
    trainer.finish()
    folder = RunFolder(tmp_path / "run")
    assert not folder.best.exists()
    assert read(folder.metrics)[0].validation_negative_elbo is None
    with pytest.raises(RunFolderError, match=r"best\.pt is missing"):
        load_trained_model(folder, "best", cpu)


def test_incomplete_batches_are_left_out(config, images, tmp_path):
    seen = []
    trainer = Trainer.start(config, images, RunFolder(tmp_path / "run"), torch.device("cpu"))
    trainer.run_epoch(seen.append)
    trainer.close()
    assert seen == [50] * 7


def test_interrupted_between_checkpoints_keeps_the_last_whole_epoch(config, images, tmp_path, cpu):
    recipe = changed(config, training={"checkpoint_every_epochs": 4})
    train(recipe, images, tmp_path / "whole").finish()
    trainer = train(recipe, images, tmp_path / "run", epochs=2)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch(stop_at_batch(3))
    trainer.interrupt()
    state = folder.read_state()
    assert (state.status, state.epochs, state.best.epoch) == ("interrupted", 2, 2)
    assert load_trained_model(folder, "best", cpu).epoch == 2
    again = Trainer.resume(recipe, images, folder, cpu)
    assert again.epochs_done == 2
    while again.epochs_done < 4:
        again.run_epoch()
    again.finish()
    assert metrics(folder) == metrics(RunFolder(tmp_path / "whole"))


def test_saved_in_mid_epoch_it_is_the_last_whole_epoch(config, images, tmp_path, cpu):
    recipe = changed(config, training={"checkpoint_every_epochs": 4})
    train(recipe, images, tmp_path / "whole", epochs=2).finish()
    trainer = train(recipe, images, tmp_path / "run", epochs=2)
    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch(stop_at_batch(3))
    trainer.save()
    trainer.close()
    saved, whole = (load_last(RunFolder(tmp_path / name), cpu) for name in ("run", "whole"))
    assert saved.epoch == whole.epoch == 2
    assert all(torch.equal(saved.model[name], whole.model[name]) for name in whole.model)


def test_interrupted_behind_an_epoch_whose_figures_failed_that_epoch_is_saved(config, images, tmp_path, cpu):
    """Not the one before it, with this one's best weights beside."""
    trainer = train(changed(config, training={"checkpoint_every_epochs": 4}), images, tmp_path / "run", epochs=1)

    def full(*figure):
        raise OSError("no figure")

    trainer._pictures.draw = full
    with pytest.raises(OSError, match="no figure"):
        trainer.run_epoch()
    trainer.interrupt()
    folder = RunFolder(tmp_path / "run")
    last = load_last(folder, cpu)
    assert (last.epoch, last.best.epoch, folder.read_state().epochs) == (2, 2, 2)
    assert load_trained_model(folder, "best", cpu).epoch == 2


def stop_at_batch(number):
    seen = []

    def stop(images):
        seen.append(images)
        if len(seen) == number:
            raise KeyboardInterrupt

    return stop


def test_diverged_between_checkpoints_keeps_the_last_whole_epoch(config, images, tmp_path, cpu):
    trainer = train(changed(config, training={"checkpoint_every_epochs": 4}), images, tmp_path / "run", epochs=2)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError):
        trainer.run_epoch()
    trainer.close()
    folder = RunFolder(tmp_path / "run")
    assert (folder.read_state().status, folder.read_state().epochs) == ("diverged", 2)
    assert all(value.isfinite().all() for value in load_trained_model(folder, "last", cpu).model.state_dict().values())


def test_a_torn_line_beyond_the_checkpoint_is_cut_even_with_its_end(config, images, tmp_path, cpu):
    train(config, images, tmp_path / "run", epochs=2).close()
    folder = RunFolder(tmp_path / "run")
    with folder.metrics.open("a") as file:
        file.write('{"epoch":3,"kl_w\n')
    Trainer.resume(config, images, folder, cpu).close()
    assert [row.epoch for row in read(folder.metrics)] == [1, 2]


def test_a_torn_line_of_an_epoch_that_counts_is_an_error(config, images, tmp_path, cpu):
    train(config, images, tmp_path / "run", epochs=2).close()
    folder = RunFolder(tmp_path / "run")
    first, second = folder.metrics.read_text().splitlines()
    folder.metrics.write_text(f"{first[:40]}\n{second}\n")
    with pytest.raises(RunFolderError, match=r"metrics\.jsonl, line 1 is damaged"):
        Trainer.resume(config, images, folder, cpu)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda best, other: best.unlink(), r"best\.pt is missing"),
        (lambda best, other: best.write_bytes(best.read_bytes()[:500]), r"best\.pt is truncated or not a checkpoint"),
        (
            lambda best, other: best.write_bytes(other.read_bytes()),
            r"best\.pt is from epoch 1, but last\.pt names epoch 2",
        ),
    ],
    ids=["missing", "truncated", "of another epoch"],
)
def test_a_lost_best_is_noticed_before_anything_is_trained(config, images, tmp_path, cpu, damage, message):
    trainer = train(config, images, tmp_path / "run", epochs=1)
    folder = trainer.folder
    shutil.copy(folder.best, tmp_path / "of_epoch_1.pt")
    trainer.run_epoch()
    trainer.close()
    damage(folder.best, tmp_path / "of_epoch_1.pt")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=f"{message}.*evaluation.checkpoint=last"):
        Trainer.resume(config, images, folder, cpu)
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    alone = changed(config, evaluation={"checkpoint": "last"})
    Trainer.resume(alone, images, folder, cpu).close()


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(config, images, tmp_path, cpu):
    train(config, images, tmp_path / "run", epochs=1).close()
    folder = RunFolder(tmp_path / "run")
    ours = [folder.path / f".{name}.{pid}.tmp" for name in ("last.pt", "best.next.pt", "state.json") for pid in (1, 99)]
    theirs = [folder.path / name for name in (".notes.tmp", "last.pt.1.tmp", ".mine.12.tmp", ".last.pt.x.tmp")]
    outside = tmp_path / ".last.pt.1.tmp"
    for path in (*ours, *theirs, outside):
        path.write_text("half of it")
    Trainer.resume(config, images, folder, cpu).close()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in (*theirs, outside))


def test_what_does_not_fit_into_memory_leaves_no_folder(config, images, tmp_path, cpu):
    absurd = changed(config, model={"decoder": {"kind": "mlp", "mlp": {"hidden_sizes": (10**9,)}}})
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator|not enough memory"):
        Trainer.start(absurd, images, RunFolder(tmp_path / "run"), cpu)
    assert not (tmp_path / "run").exists()
