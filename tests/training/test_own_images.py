"""A run trained on one's own images: nothing scores it on others, and nobody goes on with others."""

import json
import shutil

import pytest
import torch

import iafsweep
from iafsweep.data import TrainingImages, load_test_images, load_training_images
from iafsweep.data.fingerprint import fingerprint
from iafsweep.errors import DataError
from iafsweep.training import RunFolder, Trainer
from tests.cli.tiny_run import CONFIG, main


@pytest.fixture
def own(config, images, tmp_path, cpu):
    """Two epochs of four on pictures of one's own; the configuration cannot say so and names mnist_mini."""
    folder = RunFolder(tmp_path / "own")
    trainer = Trainer.start(config, images, folder, cpu)
    for _ in range(2):
        trainer.run_epoch()
    trainer.interrupt()
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}


def without_fingerprints(folder):
    """As an earlier version left it."""
    state = json.loads(folder.state.read_text())
    del state["images"]
    folder.state.write_text(json.dumps(state))


def test_evaluate_only_and_resume_on_the_command_line_are_refused(own, images, monkeypatch, capsys):
    assert own.read_state().images == images.fingerprints
    before = files(own)
    for what in ("--evaluate-only", "--resume"):
        assert main(monkeypatch, "--run", own.path, what, "--threads", "1") == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "was trained on different images: on 360 images of 1x28x28" in said
        assert "found 9,000 images of 1x28x28" in said
        assert "in a new folder" in said
        assert files(own) == before


@pytest.mark.parametrize("split", ["training", "validation"])
def test_going_on_with_one_pixel_changed_is_refused(own, config, images, cpu, split):
    changed = {"training": images.training.clone(), "validation": images.validation.clone()}
    changed[split][7, 0, 3, 3] ^= 1
    before = files(own)
    with pytest.raises(DataError, match=f"was {split.replace('ing', 'ed').replace('ion', 'ed')} on different images"):
        Trainer.resume(config, TrainingImages(**changed), own, cpu)
    assert files(own) == before
    resumed = Trainer.resume(config, TrainingImages(*(each.clone() for each in images)), own, cpu)
    resumed.run_epoch()
    resumed.close()
    assert own.read_state().images == images.fingerprints


def test_a_loaded_run_and_its_exported_model_give_no_other_images(own, tmp_path):
    run = iafsweep.load_run(own.path, "cpu")
    for each in (run, iafsweep.load_run(run.export(tmp_path / "model"), "cpu")):
        for split in ("train", "validation", "test"):
            with pytest.raises(DataError, match="was trained on different images"):
                each.images(split, 2)


def test_what_it_is_scored_on_is_kept_and_stays(monkeypatch, tmp_path, capsys, cpu):
    path, folder = tmp_path / "tiny.toml", RunFolder(tmp_path / "run")
    path.write_text(CONFIG)
    assert main(monkeypatch, path, "--run", folder.path, "--set", "training.epochs=1", "--threads", "1") == 0
    data = folder.read_config().data
    images, test = load_training_images(data, tmp_path), load_test_images(data, tmp_path)
    expected = images.fingerprints | {"test": fingerprint(test)}
    assert folder.read_state().images == expected
    Trainer.resume(folder.read_config(), images, folder, cpu).finish()
    assert folder.read_state().images == expected
    run = iafsweep.load_run(folder.path, "cpu")
    model = iafsweep.load_run(run.export(tmp_path / "model"), "cpu")
    assert torch.equal(run.images("test", 3), model.images("test", 3))
    assert "images are unknown" not in capsys.readouterr().out

    state = folder.read_state()
    other = state.images | {"test": fingerprint(test.flip(0))}
    folder.write_state(state.model_copy(update={"images": other}))
    with pytest.raises(DataError, match="was tested on different images: on 1,000 images"):
        run.images("test", 3)
    assert main(monkeypatch, "--run", folder.path, "--evaluate-only", "--threads", "1") == 2
    assert "was tested on different images" in capsys.readouterr().err


def test_runs_of_earlier_versions_are_scored_with_one_remark(monkeypatch, tmp_path, capsys, cpu):
    path, folder = tmp_path / "tiny.toml", RunFolder(tmp_path / "run")
    path.write_text(CONFIG)
    main(monkeypatch, path, "--run", folder.path, "--set", "training.epochs=1", "--threads", "1")
    without_fingerprints(folder)
    with pytest.warns(UserWarning, match="training images are unknown.*assuming those of data.source = 'mnist_mini'"):
        iafsweep.load_run(folder.path, "cpu").images("test", 2)
    capsys.readouterr()
    for remarks in (1, 0):  # once: then it says what it is scored on
        assert main(monkeypatch, "--run", folder.path, "--evaluate-only", "--threads", "1") == 0
        assert capsys.readouterr().out.count("the training images are unknown") == remarks
    assert set(folder.read_state().images) == {"test"}

    shutil.copy(folder.state, tmp_path / "state.json")
    folder.state.write_text("{")  # lost, it is as little a reason not to go on as it ever was
    images = load_training_images(folder.read_config().data, tmp_path)
    Trainer.resume(folder.read_config(), images, folder, cpu).finish()
    assert folder.read_state().images == images.fingerprints
