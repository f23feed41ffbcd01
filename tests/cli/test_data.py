"""`run_sweep.py data`, and a space of one's own images at the command line."""

import re

import numpy as np

from iafsweep.config import SOURCES
from iafsweep.data import idx_sets
from tests.api.test_own_images import CONFIG, SPACE


def test_every_set_is_listed_with_what_is_here(run_sweep, tmp_path):
    raw = tmp_path / idx_sets.KMNIST.folder
    raw.mkdir(parents=True)
    for name in (idx_sets.TRAINING_FILE, f"{idx_sets.TEST_FILE}.gz"):
        (raw / name).write_bytes(b"")
    code, out, _ = run_sweep("data", "--data-root", tmp_path)
    assert code == 0
    here = dict(re.findall(r"^ *(\w+) .* (yes|no) *$", out, re.M))
    assert set(here) == set(SOURCES.members) - {"file"}
    assert {name for name, state in here.items() if state == "yes"} == {"mnist_mini", "kmnist"}
    assert re.search(r"fashion_mnist +50,000 +10,000 +10,000 +1x28x28 +256 +no", out)
    assert f"Folder of data sets: {tmp_path}" in out
    assert {path.name for path in tmp_path.iterdir()} == {"KMNIST"}  # nothing was made


def test_one_set_tells_who_made_it_on_which_terms_and_what_it_needs(run_sweep, tmp_path):
    code, out, _ = run_sweep("data", "static_mnist", "--data-root", tmp_path)
    assert code == 0
    assert "60,000 images to train and validate on (10,000, its own), 10,000 to test on; 1 x 28 x 28, 2 levels" in (
        " ".join(out.split())
    )
    assert "by: H. Larochelle" in out
    assert "licence: CC BY-SA 3.0" in out
    for name in ("train", "valid", "test"):
        assert f"not here: {tmp_path}/static_mnist/binarized_mnist_{name}.amat" in out
    code, _, err = run_sweep("data", "statik_mnist")
    assert code == 2
    assert "no set is called 'statik_mnist': did you mean `static_mnist`?" in err


def test_every_set_has_a_citation_and_a_licence():
    for name, member in SOURCES.members.items():
        assert name == "file" or all(member.knows.about), name


def test_preview_reads_the_images_and_says_what_was_found(run_sweep, tmp_path):
    np.savez(tmp_path / "mine.npz", train=np.arange(60 * 64, dtype=np.uint8).reshape(60, 8, 8) % 17)
    (tmp_path / "space.toml").write_text(CONFIG.format(path="nothing.npz") + SPACE)
    code, _, err = run_sweep("preview", "space.toml", "--count", 1)
    assert code == 2
    assert "nothing.npz does not exist" in " ".join(err.split())
    code, out, _ = run_sweep("preview", "space.toml", "--count", 1, "--data-path", "mine.npz")
    assert code == 0
    assert (
        "mine.npz: 49 images to train on, 5 to validate on, 6 to test on; 1 x 8 x 8, 17 levels (values 0 to 16)" in out
    )
    code, _, err = run_sweep("launch", "space.toml", "--name", "x")
    assert code == 2
    assert "nothing.npz does not exist" in " ".join(err.split())
    assert not (tmp_path / "runs").exists()
