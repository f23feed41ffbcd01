"""What every data source must fulfil; one that needs files that are not here is looked at as far as its facts go."""

from typing import get_args

import pytest
import torch

from iafsweep.config import SOURCES as FACTS
from iafsweep.config import DataConfig
from iafsweep.data import SOURCES, load_test_images, load_training_images
from iafsweep.data.source import FileSet
from iafsweep.data_root import default_data_root


def test_every_source_has_facts_a_module_and_a_name():
    named = set(get_args(DataConfig.model_fields["source"].annotation))
    assert set(SOURCES) == set(FACTS) == named - {"file"}


@pytest.mark.parametrize("name", FACTS)
def test_facts_are_possible(name):
    facts = FACTS[name]
    assert len(facts.image_shape) == 3
    assert 0 < facts.validation_images < facts.training_images
    assert facts.test_images > 0


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(each, marks=[pytest.mark.full_mnist] if isinstance(SOURCES[each], FileSet) else [])
        for each in FACTS
    ],
)
def test_images_are_what_the_facts_say(name):
    """Of sets whose files are here; tests/data/test_sets.py reads small files of each."""
    facts, root, config = FACTS[name], default_data_root(), DataConfig(source=name)
    if SOURCES[name].missing(root):
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
