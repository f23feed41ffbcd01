"""Images of one's own from a configuration to a model: trained, resumed, scored, exported, searched."""

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import iafsweep
from iafsweep.api.own_images import space_with_images, with_images
from iafsweep.api.scoring.score import score
from iafsweep.api.train import train
from iafsweep.config import RunConfig, load_config
from iafsweep.config.files import build_config, read_stored_config
from iafsweep.errors import ConfigError, DataError, RunFolderError
from iafsweep.evaluation.tasks import PilotWork, make_task
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import configuration_key
from iafsweep.search_space.files import dump_space, load_space, read_stored_space
from iafsweep.sweep.storage.stored_sweep import space_hash
from iafsweep.training.run_log import hyperparameters
from tests.cli.tiny_run import main
from tests.config.test_no_dead_key import CHANGES, config_of

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (60, 8, 8), dtype=np.uint8)
CONFIG = """
title = "own"
[data]
source = "file"
path = "{path}"
[model]
latent_size = 2
posterior_offset = -1.0
batch_norm_momentum = 0.5
encoder = {{ kind = "mlp", mlp.hidden_sizes = [4] }}
decoder = {{ kind = "mlp", mlp.hidden_sizes = [4] }}
flow = {{ depth = 0 }}
[training]
epochs = 1
batch_size = 10
kl_warmup_epochs = 0
[evaluation]
importance_sampling = {{ samples = 3 }}
"""
SPACE = """
[search]
"training.learning_rate" = { float = [1e-3, 8e-3], log = true }
[sweep]
trials = 2
scheduler = "none"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with images and a configuration that names them from there."""
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", train=GREY)
    (tmp_path / "own.toml").write_text(CONFIG.format(path="mine.npz"))
    (tmp_path / "space.toml").write_text(CONFIG.format(path="mine.npz") + SPACE)
    return tmp_path


def changed():
    other = GREY.copy()
    other[3, 3, 3] ^= 1
    return other


def test_a_run_from_nothing_to_a_model_and_its_images_moved_and_changed(home, monkeypatch, capsys):
    assert main(monkeypatch, "own.toml", "--run", "run", "--threads", "1") == 0
    said = capsys.readouterr().out
    assert "mine.npz: 49 images to train on, 5 to validate on, 6 to test on; 1 x 8 x 8, 256 levels (values 0" in said
    folder = RunFolder(home / "run")
    config = folder.read_config()
    assert config.data.path == str(home / "mine.npz")  # whoever goes on from another folder finds them
    assert config.data.images is not None
    assert sum(each.count for each in folder.read_fingerprints().values()) == 60
    assert not [path for path in folder.path.rglob("*") if path.suffix in (".npz", ".npy")]

    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    assert main(monkeypatch, "--run", "../run", "--resume", "--set", "training.epochs=2", "--threads", "1") == 0
    moved = shutil.move(home / "mine.npz", home / "elsewhere" / "moved.npz")
    capsys.readouterr()
    assert main(monkeypatch, "--run", "../run", "--evaluate-only", "--threads", "1") == 2
    assert "does not exist" in (error := capsys.readouterr().err)
    assert "--data-path" in error
    scoring = ("--run", "../run", "--evaluate-only", "--threads", "1", "--data-path", "moved.npz")
    assert main(monkeypatch, *scoring) == 0
    more = ("--run", "../run", "--resume", "--threads", "1", "--data-path", "moved.npz", "--set", "training.epochs=3")
    assert main(monkeypatch, *more) == 0
    assert folder.read_config().data.path == moved if isinstance(moved, str) else str(moved)

    np.savez("moved.npz", train=changed())
    before = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    capsys.readouterr()
    for words in (scoring, (*more[:-1], "training.epochs=4")):
        assert main(monkeypatch, *words) == 2
        assert "moved.npz: the images have changed. Recorded: 54 images to train" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()} == before

    shutil.rmtree(home / "elsewhere")  # and nothing that does not need images asks for them
    monkeypatch.chdir(home)
    run = iafsweep.load_run("run", "cpu")
    model = iafsweep.load_run(run.export("model"), "cpu")
    assert model.model.sample(2).shape == (2, 1, 8, 8)
    for path in (home / "model").rglob("*"):
        assert b"moved" not in path.read_bytes()
        assert str(home).encode() not in path.read_bytes()
    assert "datasets" not in (home / "model" / "README.md").read_text()
    with pytest.raises(DataError, match="needs data.path"):
        model.images("test")
    bits = model.images("test", 3, images=iafsweep.Images(train=GREY))
    assert bits.shape == (3, 1, 8, 8)
    with pytest.raises(DataError, match="the images have changed"):
        model.images("test", 3, images=iafsweep.Images(train=changed()))


def test_what_goes_to_trackers_does_not_say_where(home):
    config, _ = with_images(load_config("own.toml"), None)
    assert config.data.path is not None
    assert config.published.data == config.data.model_copy(update={"path": None})
    shown = hyperparameters(config.published)
    assert "data.path" not in shown
    assert shown["data.images.training_images"] == 54


def test_arrays_take_the_place_of_any_source(home):
    images = iafsweep.Images(train=GREY, validation=GREY[:7], test=GREY[:9])
    config = load_config("own.toml", ["data.source=mnist_mini", "data.path=unset"])
    evaluation = train(
        config, home / "run", data_root=home, images=images, device="cpu", threads=1, progress="off"
    ).evaluation
    assert {each.split: each.images for each in evaluation.estimates} == {"train": 60, "validation": 7, "test": 9}
    stored = RunFolder(home / "run").read_config()
    assert (stored.data.source, stored.data.path) == ("file", None)
    with pytest.raises(DataError, match="needs data.path"):
        score(stored, RunFolder(home / "run"), home, device="cpu")
    assert score(stored, RunFolder(home / "run"), home, images=images, device="cpu", threads=1).estimates
    np.savez("mine.npz", train=GREY, validation=GREY[:7], test=GREY[:9])
    assert score(stored, RunFolder(home / "run"), home, images="mine.npz", device="cpu", threads=1).estimates


def test_a_run_on_a_set_is_not_scored_on_arrays(home):
    tiny = ["data.source=mnist_mini", "data.path=unset", "evaluation.bound_images=10", "training.batch_size=1000"]
    config = load_config("own.toml", [*tiny, "evaluation.importance_sampling.images=10"])
    train(config, home / "run", data_root=home, device="cpu", threads=1, progress="off")
    images = iafsweep.Images(train=RANDOM.integers(0, 256, (1300, 28, 28), dtype=np.uint8))
    with pytest.raises(RunFolderError, match="data.source = 'file' .trained with 'mnist_mini'."):
        score(config, RunFolder(home / "run"), home, images=images, device="cpu")
    with pytest.raises(DataError, match=r"--data-path mine.npz .* is for data.source = 'file', but here it is 'mnist"):
        score(config, RunFolder(home / "run"), home, images="mine.npz", device="cpu")


def test_a_configuration_that_does_not_fit_the_images_says_so_with_their_name(home):
    with pytest.raises(ConfigError, match=r"mine.npz: training.batch_size = 100 is more than the 49 training images"):
        with_images(load_config("own.toml", ["training.batch_size=100"]), None)
    with pytest.raises(ConfigError, match="validation_images = 54 leaves no training image: your own set has 54"):
        with_images(load_config("own.toml", ["data.validation_images=54"]), None)
    with pytest.raises(ConfigError, match="images = 7 is more than the 6 test images of your own set"):
        with_images(load_config("own.toml", ["evaluation.importance_sampling.images=7"]), None)
    with pytest.raises(ConfigError, match="path = 'mine.npz' is for your own images, but source = 'mnist'"):
        load_config("own.toml", ["data.source=mnist"])
    for override in ("data.image_size=[8, 8]", "data.grey=true", "data.invert=true", "data.levels=17"):
        with pytest.raises(ConfigError, match="is for your own images, but source = 'mnist_mini'"):
            load_config("own.toml", ["data.source=mnist_mini", "data.path=unset", override])
    wide = (home / "space.toml").read_text().replace("[search]", '[search]\n"training.batch_size" = { int = [10, 50] }')
    (home / "space.toml").write_text(wide)
    with pytest.raises(ConfigError, match=r"illegal, the first: .*training.batch_size = 50"):
        space_with_images(load_space("space.toml"), None)


@pytest.mark.parametrize("path", [path for path in CHANGES if not path.startswith("data.")])
def test_any_field_may_be_set_before_images_are_looked_at(path):
    """A file is read, its rules are checked and keys are made before anybody knows how many images there are."""
    change = CHANGES[path]
    own = {"data.source": "file", "data.path": "nowhere", "data.validation_images": None, path: change.value}
    assert not (config := config_of(change, **own)).data.is_known
    assert configuration_key(config)


def pictures(folder):
    for number, image in enumerate(GREY):
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


def test_identity_goes_by_the_images_and_not_by_where_they_are(home):
    one, _ = with_images(load_config("own.toml"), None)
    other, _ = with_images(load_config("own.toml", ["data.image_size=[8, 8]"]), pictures(home / "png"))
    third, _ = with_images(load_config("own.toml"), iafsweep.Images(train=GREY))
    assert len({each.data.path for each in (one, other, third)}) == 3
    assert len({configuration_key(each) for each in (one, other, third)}) == 1
    np.savez("mine.npz", train=255 - GREY)
    assert configuration_key(with_images(load_config("own.toml"), None)[0]) != configuration_key(one)
    work = PilotWork(start="posterior", on="test", images=3, binarisation_seed=0)
    names = {make_task("pilot", work, each).name for each in (one, other, third)}
    assert len(names) == 1
    assert make_task("pilot", work, with_images(load_config("own.toml"), None)[0]).name not in names


def test_a_stored_space_knows_its_images_and_its_hash_not_where_they_are(home):
    text = (home / "space.toml").read_text().replace('path = "mine.npz"\n', "")
    fixed = '[fixed]\n"data.path" = "mine.npz"\n"training.epochs" = 2\n[search]'
    (home / "space.toml").write_text(text.replace("[search]", fixed))
    space, images = space_with_images(load_space("space.toml"), None)
    assert (space.base.data.path, space.fixed_paths) == (str(home / "mine.npz"), ("training.epochs",))
    moved, _ = space_with_images(load_space("space.toml"), pictures(home / "png"))
    assert space_hash(space) == space_hash(moved)
    assert len(images.training) == space.base.data.facts.training_images == 54
    Path("sweep.toml").write_text(dump_space(space))
    (home / "mine.npz").unlink()
    stored = read_stored_space(home / "sweep.toml")  # as status, export and compare do
    assert stored.base == space.base
    assert space_hash(stored) == space_hash(space)
    again, _ = space_with_images(stored, home / "png")
    assert again.base.data.path == str(home / "png")
    with pytest.raises(DataError, match="does not exist"):
        space_with_images(stored, None)
    config = stored.config({"training.learning_rate": 2e-3})
    assert config.data == space.base.data  # trials, whose workers read no file


def test_images_found_are_written_and_read_back(home):
    config, _ = with_images(load_config("own.toml"), None)
    folder = RunFolder(home / "run")
    folder.create(config)
    assert read_stored_config(folder.config) == config
    found = tomllib.loads(folder.config.read_text())["data"]["images"]
    assert (found["shape"], found["levels"], found["training_images"]) == ([1, 8, 8], 256, 54)
    data = {"source": "file", "path": "mine.npz", "images": found | {"levels": 17}}
    networks = {"encoder": {"kind": "mlp"}, "decoder": {"kind": "mlp"}}
    copied = build_config({"data": data, "model": networks, "training": {"batch_size": 10}}, "copied")
    with pytest.raises(DataError, match="mine.npz: the images have changed"):
        with_images(replace_data(config, copied), None)
    with pytest.raises(ConfigError, match=r"data.images.shape.2: field required, found"):
        build_config({"data": {"source": "file", "images": found | {"shape": [1, 8]}}}, "copied")


def replace_data(config: RunConfig, other: RunConfig) -> RunConfig:
    return config.model_copy(update={"data": other.data})


def test_warm_starts_go_by_the_images(home):
    from iafsweep.sweep.samplers.warm_start import _told_apart

    space, _ = space_with_images(load_space("space.toml"), None)
    moved = replace(space, base=space.base.published)
    assert _told_apart(space) == _told_apart(moved)
    np.savez("mine.npz", train=changed())
    other, _ = space_with_images(load_space("space.toml"), None)
    assert _told_apart(space) != _told_apart(other)
