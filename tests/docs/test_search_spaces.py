"""Every block of docs/search_spaces.md and README is a space that is read, or is refused with just these words."""

import random
import re
from pathlib import Path

import pytest

from iafsweep.config.sweep import SAMPLERS, SCHEDULERS
from iafsweep.errors import ConfigError
from iafsweep.records.trust import is_unsettled, settling_of
from iafsweep.search_space.files import load_space
from iafsweep.search_space.sampling import RandomSuggest

ROOT = Path(__file__).parent.parent.parent
PAGE, README = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/search_spaces.md", "README.md"))
SPACES = re.findall(r"^```toml\n(.*?)^```", PAGE + README, re.M | re.S)
REFUSED = re.findall(r"^```toml refused\n(.*?)^```\n+```\n(.*?)^```", PAGE, re.M | re.S)


def test_blocks_are_found():
    assert len(SPACES) == 5
    assert len(REFUSED) == PAGE.count("```toml refused") == 5


@pytest.mark.parametrize("text", SPACES, ids=range(len(SPACES)))
def test_a_space_is_read_and_gives_configurations(text, tmp_path):
    (tmp_path / "space.toml").write_text(text)
    space = load_space(tmp_path / "space.toml")
    assert space.title
    source = RandomSuggest(random.Random(0))
    drawn = [space.config(space.suggest(source)) for _ in range(20)]
    assert len({config.model_dump_json() for config in drawn}) > 1
    for config in drawn:
        images, training = config.data.training_images, config.training
        settling = settling_of(config.model.batch_norm_momentum, images, training.batch_size, training.epochs)
        assert not config.model.has_batch_norm or not is_unsettled(settling)


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_a_mistake_is_answered_as_the_page_says(text, said, tmp_path):
    (tmp_path / "space.toml").write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_space(tmp_path / "space.toml")
    assert str(refused.value) == f"{tmp_path / 'space.toml'}: {said.rstrip()}"


def test_every_range_and_sampler_is_on_the_page():
    for name in SAMPLERS.members:
        assert f"`{name}`" in PAGE
    for name in SCHEDULERS.members:
        assert f"`{name}`" in PAGE
    for kind in ("choice", "int", "float"):
        assert f"{{ {kind} = " in PAGE
