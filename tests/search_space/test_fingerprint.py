"""Configuration keys: equal exactly where training is."""

import pytest

from iafsweep.config import RunConfig, field_paths
from iafsweep.config.files import build_config, with_values
from iafsweep.config.meaning import where
from iafsweep.search_space.candidate import configuration_key
from tests.config.test_no_dead_key import CHANGES, config_of


def key(**changes):
    return configuration_key(
        build_config(with_values({}, {path.replace("__", "."): value for path, value in changes.items()}), "test")
    )


GATED = {"model__encoder__kind": "gated_conv", "model__decoder__kind": "gated_conv"}
NOT_MEASURED = {
    f"training.{name}" for name in ("seed", "checkpoint_every_epochs", "checkpoint_every_minutes", "compile")
}
LEVELS = {"data__binarisation": "none"}
ALL = {"data__validation_images": 0, "evaluation__checkpoint": "last"}
NO_FLOW = {"model__flow__depth": 0}
PLANAR, SPLINE, SYLVESTER = ({"model__flow__kind": kind} for kind in ("planar", "spline", "sylvester"))
TRIANGULAR = SYLVESTER | {"model__flow__sylvester__variant": "triangular"}
AVERAGED = {"training__weight_average": 0.999}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "a"}, {"title": "b"}),
        ({}, {"training__seed": 3}),
        ({}, {"training__checkpoint_every_epochs": 7}),
        ({}, {"training__checkpoint_every_minutes": 7.0}),
        ({}, {"training__compile": "on"}),
        ({}, {"evaluation__hais__chains": 7}),
        ({}, {"data__validation_images": 5000}),  # the default
        ({}, {"model__flow__context_size": 1920}),
        ({}, {"model__encoder__mlp__hidden_sizes": [3]}),  # resnet is chosen
        ({}, {"model__decoder__gated_conv__maps": 3}),
        (NO_FLOW, NO_FLOW | {"model__flow__made__width": 80}),
        (NO_FLOW, NO_FLOW | {"model__flow__gated": False, "model__flow__context_size": 3}),
        ({}, {"model__flow__naf__units": 3, "model__flow__sylvester__variant": "triangular"}),  # iaf is chosen
        (PLANAR, PLANAR | {"model__flow__made__width": 80, "model__flow__gated": False}),
        (PLANAR, PLANAR | {"model__flow__context_size": 256, "model__flow__spline__bins": 3}),
        (SPLINE, SPLINE | {"model__flow__gated": False, "model__flow__naf__units": 3}),
        (SYLVESTER, SYLVESTER | {"model__flow__sylvester__reflections": 3}),
        (TRIANGULAR, TRIANGULAR | {"model__flow__sylvester__reflections": 3, "model__flow__sylvester__columns": 3}),
        (NO_FLOW | GATED, NO_FLOW | GATED | {"model__batch_norm_momentum": 0.5}),
        ({"training__epochs": 10}, {"training__epochs": 10, "training__learning_rate_decay_epochs": 10}),
        ({"training__epochs": 10}, {"training__epochs": 10, "training__learning_rate_decay": 0.1}),
        (
            {"training__learning_rate_decay": 1.0},
            {"training__learning_rate_decay": 1.0, "training__learning_rate_decay_epochs": 5},
        ),
        ({"training__epochs": 10}, {"training__epochs": 10, "training__learning_rate_schedule": "constant"}),
        (
            {"training__learning_rate_schedule": "constant"},
            {"training__learning_rate_schedule": "constant", "training__learning_rate_decay": 0.1},
        ),
        (
            {"training__learning_rate_schedule": "constant"},
            {"training__learning_rate_schedule": "cosine", "training__learning_rate_end": 1.0},
        ),
        (
            {"training__learning_rate_schedule": "cosine"},
            {"training__learning_rate_schedule": "cosine", "training__learning_rate_decay_epochs": 3},
        ),
        ({}, {"training__learning_rate_end": 0.5}),
        ({}, {"training__optimiser": "adamw"}),
        ({}, {"training__objective_from_epoch": 3}),
        ({}, {"training__objective": "iwae", "training__objective_samples": 5, "training__objective_from_epoch": 2500}),
        ({}, {"training__weight_average_images": 9}),
        (AVERAGED, AVERAGED | {"model__batch_norm_momentum": 0.5}),
        (NO_FLOW | GATED | AVERAGED, NO_FLOW | GATED | AVERAGED | {"training__weight_average_images": 9}),
        (
            AVERAGED | {"training__weight_average_images": 55_000},
            AVERAGED | {"training__weight_average_images": 60_000},
        ),
        ({}, {"training__early_stopping_epochs": 2300}),  # after a warm-up of 200 of 2500 epochs
        (
            {"data__validation_images": 0, "evaluation__checkpoint": "last"},
            {"data__validation_images": 0, "evaluation__checkpoint": "last", "data__split_seed": 3},
        ),
        ({"training__learning_rate": 1}, {"training__learning_rate": 1.0}),
        ({}, {"data__binarisation": "dynamic"}),  # the default
        ({}, {"model__likelihood__kind": "bernoulli"}),
        ({}, {"model__likelihood__discretised_logistic_mixture__components": 3}),
        (LEVELS, LEVELS | {"model__likelihood__kind": "discretised_logistic"}),
        (LEVELS, LEVELS | {"model__likelihood__discretised_logistic_mixture__components": 3}),
    ],
)
def test_same_training_same_key(one, other):
    assert key(**one) == key(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, NO_FLOW),
        ({}, PLANAR),
        (SPLINE, SPLINE | {"model__flow__made__width": 80}),
        (SYLVESTER, TRIANGULAR),
        (GATED, GATED | {"model__batch_norm_momentum": 0.5}),  # the context map has batch norm
        (NO_FLOW, NO_FLOW | {"model__batch_norm_momentum": 0.5}),
        ({"training__epochs": 10}, {"training__epochs": 11}),
        (
            {"training__epochs": 10, "training__learning_rate_decay_epochs": 9},
            {"training__epochs": 10, "training__learning_rate_decay_epochs": 8},
        ),
        ({}, {"training__early_stopping_epochs": 2299}),
        ({}, {"training__learning_rate_schedule": "constant"}),
        ({}, {"model__encoder__dropout": 0.1}),
        (
            {"training__objective": "iwae", "training__objective_samples": 5, "training__objective_from_epoch": 2499},
            {"training__objective": "iwae", "training__objective_samples": 5, "training__objective_from_epoch": 2500},
        ),
        ({}, {"data__validation_images": 4999}),
        ({}, {"data__binarisation_seed": 1}),
        ({}, {"data__binarisation": "threshold"}),
        ({}, LEVELS),
        (ALL | {"data__binarisation": "fixed"}, ALL | {"data__binarisation": "fixed", "data__binarisation_seed": 1}),
    ],
)
def test_other_training_other_key(one, other):
    assert key(**one) != key(**other)


@pytest.mark.parametrize("path", sorted(field_paths(RunConfig)))
def test_every_field_that_changes_training_changes_the_key(path):
    change = CHANGES[path]
    before, after = config_of(change), config_of(change, **{path: change.value})
    left_out = path == "title" or path.startswith("evaluation.")
    left_out = left_out or path in NOT_MEASURED | where(RunConfig)
    assert (configuration_key(before) == configuration_key(after)) is left_out


def test_the_key_of_a_configuration_stays_what_it_is_in_ledgers():
    """Another key would let a resumed sweep train again what it has; a field with a default must not change it.

    A new default for an old field changes this text and harms no ledger: sweeps keep all their values.
    """
    assert configuration_key(RunConfig()) == configuration_key(RunConfig(title="other")) == "8c9b45c20d61bc8d"
