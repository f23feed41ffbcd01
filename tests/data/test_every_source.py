"""What every data source must fulfil; one that needs files that are not here is looked at as far as its facts go."""

import pytest
import torch

from iafsweep.config import SOURCES, DataConfig, source_facts
from iafsweep.data import load_test_images, load_training_images
from iafsweep.data.source import FileSet
from iafsweep.data_root import default_data_root

NAMES = [name for name in SOURCES.members if name != "file"]


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_possible(name):
    facts = source_facts(name)
    assert len(facts.image_shape) == 3
    assert 0 < facts.validation_images < facts.training_images
    assert facts.test_images > 0


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[pytest.mark.full_mnist] if isinstance(SOURCES.load(each), FileSet) else [])
        for each in NAMES
    ],
)
def test_images_are_what_the_facts_say(name):
    """Of sets whose files are here; tests/data/test_sets.py reads small files of each."""
    facts, root, config = source_facts(name), default_data_root(), DataConfig(source=name)
    if SOURCES.load(name).missing(root):
        pytest.skip(f"the files of {name} are not in the folder of data sets")
    both, test = load_training_images(config, root), load_test_images(config, root)
    assert both.training.shape == (facts.training_images - facts.validation_images, *facts.image_shape)
    assert both.validation.shape == (facts.validation_images, *facts.image_shape)
    assert test.shape == (facts.test_images, *facts.image_shape)
    for images in (*both, test):
        assert images.dtype == torch.uint8
        assert (images.max().item() > 127) is (facts.levels == 256)  # bytes, not shares
        assert (images != images[0]).any()
    training_memory = {images.untyped_storage().data_ptr() for images in both}
    assert test.untyped_storage().data_ptr() not in training_memory
    again = load_training_images(config, root)
    assert torch.equal(again.training, both.training)
    assert torch.equal(again.validation, both.validation)
    assert torch.equal(load_test_images(config, root), test)
