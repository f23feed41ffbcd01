"""Configurations and search spaces made in Python are those of files."""

import re

import pytest

import iafsweep
from iafsweep.errors import ConfigError
from iafsweep.search_space.files import load_space
from tests.finished import BASE, SPACE

SEARCH = {
    "model.flow.depth": iafsweep.integers(0, 3),
    "model.flow.made.width": iafsweep.choice([4, 8], when="model.flow.depth > 0"),
    "training.learning_rate": iafsweep.floats(1e-3, 1e-2, log=True),
}


def test_a_space_of_a_name_gives_its_base_and_a_single_configuration_itself():
    base = iafsweep.load_config("quick", ["model.latent_size=24"])
    assert base == load_space("quick").base.with_values({"model.latent_size": 24})
    assert base.training.epochs == 12
    assert iafsweep.load_config("reference") == iafsweep.config.load_config("reference")


def test_values_are_changed_and_mistakes_are_one_message():
    changed = BASE.with_values({"model.flow.depth": 3, "model.encoder.mlp.hidden_sizes": [8, 8]})
    assert (changed.model.flow.depth, changed.model.encoder.mlp.hidden_sizes) == (3, (8, 8))
    assert changed.with_values({}) == changed != BASE
    assert BASE.with_values({"evaluation.bound_images": None}).evaluation.bound_images is None
    for changes, message in (
        ({"model.latent_sise": 3}, "did you mean `model.latent_size`?"),
        ({"model": 3}, "`model` is a table"),
        ({"training.epochs": "many", "model.latent_size": -1}, "must be a whole number, found 'many'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)) as caught:
            BASE.with_values(changes)
        assert "pydantic" not in str(caught.value)


def test_a_space_is_that_of_the_file_it_writes(tmp_path):
    settings = {"scheduler": "none", "max_concurrent": 1}
    space = iafsweep.SearchSpace(base=SPACE.base, search=SEARCH, trials=4, sweep=settings)
    assert space.checked.parameters == SPACE.parameters
    assert space.checked.sweep == SPACE.sweep
    space.save(tmp_path / "mine.toml")
    assert load_space(tmp_path / "mine.toml") == space.checked
    assert repr(space).count("\n") == 3
    with pytest.raises(iafsweep.UserError, match="name another place"):
        space.save(tmp_path / "nowhere" / "mine.toml")
    with pytest.raises(iafsweep.UserError, match=r"\[sweep\] unknown key `tials`: did you mean `trials`"):
        iafsweep.SearchSpace(base=SPACE.base, search=SEARCH, sweep={"tials": 4})


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({}, "at least one parameter"),
        ({"model.flow.dept": iafsweep.integers(0, 1)}, "did you mean `model.flow.depth`"),
        ({"model.flow.depth": 3}, "a single value belongs in the base"),
        ({"model.flow.depth": iafsweep.integers(-3, 3)}, "combinations"),
        ({"training.seed": iafsweep.integers(0, 3)}, "each trial gets a seed of its own"),
        ({"model.flow.depth": iafsweep.integers(0, 3, when="model.flo.depth > 1")}, "unknown"),
    ],
)
def test_what_cannot_be_searched_is_refused(search, message):
    with pytest.raises(ConfigError, match=message):
        iafsweep.SearchSpace(base=BASE, search=search, sweep={"scheduler": "none"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: iafsweep.integers(3, 1), "`low <= high` must hold"),
        (lambda: iafsweep.floats(0.0, 1.0, log=True), "`low > 0` must hold"),
        (lambda: iafsweep.choice([]), "at least one value"),
        (lambda: iafsweep.choice("mlp"), r"write choice\(\['mlp', ...\]\)"),
        (lambda: iafsweep.choice([{}]), "a choice holds texts"),
    ],
)
def test_domains_that_are_none_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
