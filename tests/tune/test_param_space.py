"""Spaces of Tune's are checked before anything starts."""

import numpy as np
import pytest
from ray import tune

from iafsweep.config.problems import unknown_key
from iafsweep.errors import ConfigError
from iafsweep.tune import trainable
from iafsweep.tune.param_space import check_param_space, trial_config
from tests.tune.plain import BASE, DEPTH, RATE


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.latnt_size": tune.choice([4])}, unknown_key("model.latnt_size")),
        ({"model": {"flow": {"dept": tune.grid_search([0, 1])}}}, unknown_key("model.flow.dept")),
        ({"model": tune.choice([1])}, "`model` is a table"),
        ({"model.latent_size": tune.choice([4, "many"])}, "model.latent_size: must be a whole number, found 'many'"),
        ({RATE: tune.uniform(-1.0, 1.0)}, f"{RATE}: must be greater than 0"),
        ({DEPTH: tune.randint(-1, 3)}, f"{DEPTH}: must be at least 0, found -1"),
        ({DEPTH: tune.grid_search([0, 0.5])}, f"{DEPTH}: must be a whole number"),
        ({"model.encoder.kind": "convolutional"}, "model.encoder.kind: must be"),
        (
            {"model.encoder.mlp.hidden_sizes": tune.choice([[16], ["wide"]])},
            "hidden_sizes.0: must be a whole number",
        ),
        ({"data.source": tune.choice(["mnist"])}, "trials must share their images"),
        ({"training.seed": tune.grid_search([1, 2])}, 'search "repeat" over 1, 2'),
    ],
)
def test_mistakes_are_found_at_once(space, message):
    with pytest.raises(ConfigError) as raised:
        trainable(BASE, space)
    assert message in str(raised.value)


def test_what_only_some_combinations_break_is_left_to_them():
    space = {
        "training.objective": tune.choice(["elbo", "dreg"]),  # with the base's flow dreg is refused
        DEPTH: tune.choice([0, 2]),
        RATE: tune.qloguniform(1e-4, 1e-2, 1e-5),
        "training.gradient_clip": tune.choice([None, 1.0]),
        "model.latent_size": tune.sample_from(lambda: 4),
        "repeat": tune.grid_search([1, 2]),
    }
    check_param_space(BASE, space)
    trial_config(BASE, {"training.objective": "dreg", "training.objective_samples": 2, DEPTH: 0})
    with pytest.raises(ConfigError, match="needs the gradient"):
        trial_config(BASE, {"training.objective": "dreg", "training.objective_samples": 2, DEPTH: 2})


def test_nested_values_and_those_of_numpy_are_the_same_trial():
    flat = trial_config(BASE, {DEPTH: 1, RATE: 0.004, "model.encoder.mlp.hidden_sizes": [8, 8]})
    nested = {"model": {"flow": {"depth": np.int64(1)}, "encoder": {"mlp": {"hidden_sizes": [8, 8]}}}}
    assert trial_config(BASE, nested | {RATE: np.float64(0.004)}) == flat
    assert flat.model.encoder.mlp.hidden_sizes == (8, 8)
    with pytest.raises(ConfigError, match="`repeat` must be a whole number"):
        trial_config(BASE, {"repeat": 0.5})
