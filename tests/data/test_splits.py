import pytest
import torch

from iafsweep.config import DataConfig
from iafsweep.data import load_test_images, load_training_images
from iafsweep.data_root import default_data_root


def rows(images):
    return {bytes(image.flatten().numpy()) for image in images}


def test_mnist_mini_needs_no_files(tmp_path):
    images = load_training_images(DataConfig(source="mnist_mini"), tmp_path / "nowhere")
    test = load_test_images(DataConfig(source="mnist_mini"), tmp_path / "nowhere")
    assert images.training.shape == (9_000, 1, 28, 28)
    assert images.validation.shape == (1_000, 1, 28, 28)
    assert test.shape == (1_000, 1, 28, 28)
    assert {part.dtype for part in (*images, test)} == {torch.uint8}
    assert list(tmp_path.iterdir()) == []


def test_the_split_is_fixed_by_its_seed_and_loses_no_image(tmp_path):
    config = DataConfig(source="mnist_mini")
    first, again = load_training_images(config, tmp_path), load_training_images(config, tmp_path)
    assert torch.equal(first.training, again.training)
    assert torch.equal(first.validation, again.validation)
    everything = load_training_images(DataConfig(source="mnist_mini", validation_images=0), tmp_path)
    assert len(everything.validation) == 0
    assert rows(first.training) | rows(first.validation) == rows(everything.training)
    other = load_training_images(DataConfig(source="mnist_mini", split_seed=1), tmp_path)
    assert not torch.equal(first.validation, other.validation)


def test_more_validation_images_keep_those_of_fewer(tmp_path):
    few = load_training_images(DataConfig(source="mnist_mini", validation_images=100), tmp_path)
    many = load_training_images(DataConfig(source="mnist_mini", validation_images=500), tmp_path)
    assert rows(few.validation) <= rows(many.validation)


def test_the_data_root_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("IAFSWEEP_DATA", str(tmp_path))
    assert default_data_root() == tmp_path
    monkeypatch.delenv("IAFSWEEP_DATA")
    assert default_data_root().parts[-2:] == ("iafsweep", "data")


def test_nothing_is_left_to_train_on():
    with pytest.raises(ValueError, match="validation_images = 10000 leaves no training image"):
        DataConfig(source="mnist_mini", validation_images=10_000)
