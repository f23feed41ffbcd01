"""What is given in place of a base, a space or results, is refused in words, before Ray starts."""

import re

import pytest
from ray import tune

import iafsweep
from iafsweep.errors import UserError
from iafsweep.tune import import_results, load_best, trainable
from tests.finished import BASE

SPACE = iafsweep.SearchSpace(BASE, {"model.flow.depth": iafsweep.integers(0, 1)}, sweep={"scheduler": "none"})
TWICE = {"model": {"latent_size": tune.choice([2, 3])}, "model.latent_size": 4}

MISTAKES = {
    "no base": (lambda path: trainable(None), "a configuration is needed, got None"),
    "our space": (lambda path: trainable(BASE, SPACE), "param_space must be a dictionary"),
    "a field twice": (lambda path: trainable(BASE, TWICE), "`model.latent_size` is given twice"),
    "the best of a folder": (load_best, "Tuner.restore(path, trainable=...).get_results()"),
    "a folder to import": (lambda path: import_results(path, path / "new"), "Tuner.restore(path"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message(tmp_path, mistake):
    attempt, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=re.escape(message)):
        attempt(tmp_path)
    assert list(tmp_path.iterdir()) == []
