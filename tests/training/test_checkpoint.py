import hashlib
import pickle
import random
import shutil

import pytest
import torch

from iafsweep.errors import RunFolderError
from iafsweep.training import RunFolder, Trainer, checkpoint, load_trained_model
from iafsweep.training.checkpoint import checkpoint_digest, load_last


@pytest.fixture(scope="module")
def finished(tmp_path_factory, images):
    from iafsweep.config import RunConfig

    from .conftest import TINY

    folder = RunFolder(tmp_path_factory.mktemp("runs") / "run")
    trainer = Trainer.start(RunConfig.model_validate(TINY), images, folder, torch.device("cpu"))
    for _ in range(3):
        trainer.run_epoch()
    trainer.close()
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return RunFolder(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_truncated_checkpoint_is_named(folder, cpu, part):
    content = folder.last.read_bytes()
    folder.last.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(RunFolderError, match=r"last\.pt is truncated or not a checkpoint"):
        load_last(folder, cpu)


def test_a_foreign_checkpoint_is_refused(folder, cpu):
    torch.save({"model": {}}, folder.last)
    with pytest.raises(RunFolderError, match="is not a checkpoint of this program"):
        load_last(folder, cpu)
    torch.save([1, 2], folder.best)
    with pytest.raises(RunFolderError, match="is not a checkpoint of this program"):
        load_trained_model(folder, "best", cpu)


class Hostile:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_a_hostile_checkpoint_runs_no_code(folder, cpu, tmp_path):
    target = tmp_path / "was here"
    torch.save({"format": Hostile(target)}, folder.last)
    with pytest.raises(RunFolderError, match="not a checkpoint"):
        load_last(folder, cpu)
    folder.last.write_bytes(pickle.dumps(Hostile(target), protocol=2))
    with pytest.raises(RunFolderError, match="not a checkpoint"):
        load_last(folder, cpu)
    assert not target.exists()


def test_a_checkpoint_of_another_model_does_not_fit(folder, cpu):
    text = folder.config.read_text()
    folder.config.write_text(text.replace("latent_size = 4", "latent_size = 5"))
    with pytest.raises(RunFolderError, match="is from another run: it was trained with "):
        load_trained_model(folder, "last", cpu)


def test_killed_between_the_new_best_and_the_new_last(folder, images, cpu):
    """The pending best belongs to an epoch that last.pt does not know: the old best stands, the other is dropped."""
    saved = torch.load(folder.best, weights_only=True)
    torch.save({**saved, "epoch": 99}, folder.pending_best)
    before = content_of(folder)
    assert load_trained_model(folder, "best", cpu).epoch == saved["epoch"]
    assert checkpoint_digest(folder, "best") == hashlib.sha256(folder.best.read_bytes()).hexdigest()
    assert content_of(folder) == before
    Trainer.resume(folder.read_config(), images, folder, cpu).close()
    assert not folder.pending_best.exists()
    assert load_trained_model(folder, "best", cpu).epoch == saved["epoch"]


def test_killed_between_the_new_last_and_the_rename_of_the_best(folder, images, cpu):
    """last.pt knows the pending best: it is the best, and takes its name when the run goes on."""
    shutil.move(folder.best, folder.pending_best)
    torch.save({**torch.load(folder.pending_best, weights_only=True), "epoch": 1}, folder.best)
    before, digest = content_of(folder), checkpoint_digest(folder, "best")
    known = load_last(folder, cpu).best.epoch
    assert load_trained_model(folder, "best", cpu).epoch == known
    assert content_of(folder) == before
    Trainer.resume(folder.read_config(), images, folder, cpu).close()
    assert not folder.pending_best.exists()
    assert load_trained_model(folder, "best", cpu).epoch == known
    assert checkpoint_digest(folder, "best") == digest


def content_of(folder):
    """All but what TensorBoard writes, in a thread of its own."""
    files = (path for path in folder.path.rglob("*") if path.is_file() and "tfevents" not in path.name)
    return {path: path.read_bytes() for path in files}


def test_a_run_is_read_between_any_two_of_its_writes_and_trains_on(config, images, tmp_path, cpu, monkeypatch):
    folder, write, seen = RunFolder(tmp_path / "run"), checkpoint._write, []
    trainer = Trainer.start(config, images, folder, cpu)
    trainer.run_epoch()
    trainer.best = trainer.best.model_copy(update={"validation_negative_elbo": 1e9})

    def write_and_read(path, content):
        write(path, content)
        before = content_of(folder)
        seen.append((path.name, *(load_trained_model(folder, which, cpu).epoch for which in ("last", "best"))))
        assert content_of(folder) == before

    monkeypatch.setattr(checkpoint, "_write", write_and_read)
    trainer.run_epoch()
    trainer.close()
    assert seen == [("best.next.pt", 1, 1), ("last.pt", 2, 2)]
    assert load_trained_model(folder, "best", cpu).epoch == 2
    assert not folder.pending_best.exists()


def test_a_pending_best_that_takes_its_name_while_it_is_read_is_found_under_it(folder, cpu, monkeypatch):
    shutil.copy(folder.best, folder.pending_best)
    read = checkpoint._read

    def rename_and_read(path, *arguments):
        if path == folder.pending_best:
            path.replace(folder.best)
        return read(path, *arguments)

    monkeypatch.setattr(checkpoint, "_read", rename_and_read)
    assert load_trained_model(folder, "best", cpu).epoch == load_last(folder, cpu).best.epoch


def test_a_checkpoint_of_another_run_of_the_same_shape_is_refused(folder, images, cpu):
    config = folder.read_config()
    other = config.model_copy(update={"training": config.training.model_copy(update={"seed": 5})})
    folder.rewrite_config(other)
    with pytest.raises(RunFolderError, match=r"is from another run: it was trained with training\.seed = 0"):
        Trainer.resume(other, images, folder, cpu)
    with pytest.raises(RunFolderError, match="is from another run"):
        load_trained_model(folder, "best", cpu)


def test_killed_before_the_first_checkpoint_a_run_starts_again(folder, images, cpu):
    config = folder.read_config()
    for path in folder.path.iterdir():
        if path.name not in {"config.toml", "metrics.jsonl", "data.png"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(RunFolderError, match="start it again: "):
        Trainer.resume(config, images, folder, cpu)
    trainer = Trainer.start(config, images, folder, cpu)
    trainer.close()
    assert trainer.epochs_done == 0


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "two"},
        {"epoch": -5},
        {"model": [1]},
        {"model": {"weight": 1.0}},
        {"config": 3},
        {"best": {"epoch": 1}},
    ],
    ids=str,
)
def test_a_checkpoint_whose_fields_are_not_what_they_should_be_is_refused(folder, images, cpu, change):
    torch.save({**torch.load(folder.last, weights_only=True), **change}, folder.last)
    with pytest.raises(RunFolderError, match=r"last\.pt is damaged"):
        Trainer.resume(folder.read_config(), images, folder, cpu)


def test_a_checkpoint_of_another_version_is_refused(folder, cpu):
    torch.save({**torch.load(folder.last, weights_only=True), "something": "new"}, folder.last)
    with pytest.raises(RunFolderError, match=r"last\.pt was written by another version of this program"):
        load_last(folder, cpu)


def test_a_damaged_pending_best_says_what_to_do(folder, images, cpu):
    folder.pending_best.write_text("junk")
    with pytest.raises(
        RunFolderError, match=r"best\.next\.pt is truncated .*; delete it if best\.pt next to it is intact"
    ):
        Trainer.resume(folder.read_config(), images, folder, cpu)


def test_a_damaged_record_says_what_mends_it(folder):
    for path, read, remedy in (
        (folder.state, folder.read_state, r"state\.json is damaged.*continue the run to write it again: .* --resume$"),
        (folder.evaluation, folder.read_evaluation, r"evaluation\.json is damaged.*; score the run again"),
    ):
        path.write_text("{")
        with pytest.raises(RunFolderError, match=remedy):
            read()


def test_damage_of_any_kind_is_one_error(folder, cpu):
    good, draws = folder.last.read_bytes(), random.Random(0)
    kinds = {"loaded": 0, "refused": 0}
    for number in range(60):
        damaged = bytearray(good)
        start = draws.randrange(len(good))
        if number % 3 == 0:
            del damaged[start:]
        elif number % 3 == 1:
            damaged[start : start + 500] = bytes(500)
        else:
            for _ in range(20):
                damaged[draws.randrange(len(good))] = draws.randrange(256)
        folder.last.write_bytes(damaged)
        try:
            load_last(folder, cpu)
            kinds["loaded"] += 1
        except RunFolderError:
            kinds["refused"] += 1
    assert kinds["refused"] > 20  # a flip inside a tensor is a number like any other


def test_a_log_that_leads_out_of_the_folder_is_not_written(folder, images, cpu, tmp_path):
    outside = tmp_path / "precious"
    outside.write_text("mine")
    folder.log.unlink(missing_ok=True)
    folder.log.symlink_to(outside)
    with pytest.raises(RunFolderError, match=r"run\.log is a symbolic link"):
        Trainer.resume(folder.read_config(), images, folder, cpu)
    assert outside.read_text() == "mine"
