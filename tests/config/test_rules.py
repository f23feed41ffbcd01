"""Every rule on values, by its message; and just inside each rule all is well."""

import pytest

from iafsweep.config import HaisConfig, RunConfig
from iafsweep.config.files import build_config, with_values
from iafsweep.errors import ConfigError


def build(**changes):
    return build_config(with_values({}, {key.replace("__", "."): value for key, value in changes.items()}), "test")


SANDWICH = {"evaluation__sandwich__enabled": True, "evaluation__sandwich__starts": ["posterior", "prior"]}
RULES = [
    # changes that break a rule, message, changes that just keep it
    ({"model__latent_size": 0}, "model.latent_size: .*at least 1", {"model__latent_size": 1}),
    ({"model__flow__depth": -1}, "model.flow.depth: .*at least 0", {"model__flow__depth": 0}),
    ({"model__flow__made__hidden_layers": 0}, "hidden_layers: ", {"model__flow__made__hidden_layers": 1}),
    (
        {"model__flow__made__width": 62},
        "flow.made.width = 62 is too narrow for latent_size = 64: .*at least 63",
        {"model__flow__made__width": 63},
    ),
    (
        {"model__flow__made__width": 62, "model__flow__depth": 1},
        "too narrow",
        {"model__flow__made__width": 62, "model__flow__depth": 0},
    ),
    (
        {"model__flow__kind": "naf", "model__flow__made__width": 62},
        "flow.made.width = 62 is too narrow for latent_size = 64: .*at least 63",
        {"model__flow__kind": "planar", "model__flow__made__width": 62, "model__flow__context_size": 100},
    ),
    ({"model__flow__kind": "radial"}, "model.flow.kind: .*found 'radial'", {"model__flow__kind": "sylvester"}),
    (
        {"model__flow__kind": "sylvester", "model__flow__sylvester__columns": 65},
        "flow.sylvester.columns = 65 orthonormal columns do not fit into latent_size = 64; take at most 64",
        {
            "model__flow__kind": "sylvester",
            "model__flow__sylvester__columns": 65,
            "model__flow__sylvester__variant": "householder",
        },
    ),
    ({"model__flow__spline__bound": 0.09}, "flow.spline.bound: .*at least 0.1", {"model__flow__spline__bound": 0.1}),
    ({"model__flow__spline__bound": 1001.0}, "bound: .*at most 1000", {"model__flow__spline__bound": 1000.0}),
    (
        {"model__prior__spline_coupling__bound": 0.09},
        "prior.spline_coupling.bound: .*at least 0.1",
        {"model__prior__spline_coupling__bound": 0.1},
    ),
    (
        {"model__prior__spline_coupling__bound": 1e39},
        "prior.spline_coupling.bound: .*at most 1000",
        {"model__prior__spline_coupling__bound": 1000.0},
    ),
    (
        {"model__flow__context_size": 100},
        "context_mode = 'add' needs context_size = made.width, got 100 and 1920",
        {"model__flow__context_size": 100, "model__flow__made__context_mode": "linear"},
    ),
    ({"model__batch_norm_momentum": 0.0}, "batch_norm_momentum: .*greater than 0", {"model__batch_norm_momentum": 1.0}),
    (
        {"model__batch_norm_momentum": 1.1},
        "momentum: must be at most 1, found 1.1",
        {"model__batch_norm_momentum": 1.0},
    ),
    ({"model__encoder__mlp__hidden_sizes": []}, "hidden_sizes: ", {"model__encoder__mlp__hidden_sizes": [1]}),
    ({"model__encoder__mlp__hidden_sizes": [0]}, "hidden_sizes.0: ", {"model__encoder__mlp__hidden_sizes": [1]}),
    (
        {"data__validation_images": 60_000},
        "validation_images = 60000 leaves no training image",
        {"data__validation_images": 59_800},
    ),
    (
        {"data__source": "cifar"},
        "data.source: .*'mnist', .*or 'file', found 'cifar'",
        {"data__source": "mnist_mini"},
    ),
    ({"data__split_seed": -1}, "split_seed", {"data__split_seed": 2**31 - 1}),
    ({"data__split_seed": 2**31}, "split_seed", {"data__split_seed": 0}),
    (
        {"data__validation_images": 0},
        "evaluation.checkpoint = 'best' is chosen by validation images",
        {"data__validation_images": 0, "evaluation__checkpoint": "last"},
    ),
    ({"training__batch_size": 1}, "batch_size: ", {"training__batch_size": 2}),
    (
        {"data__binarisation": "none", "model__likelihood__kind": "bernoulli"},
        "'bernoulli' is for bits, .*mnist have 256 levels; take .*'discretised_logistic', or data.binarisation = 'dyn",
        {"data__binarisation": "none"},
    ),
    (
        {"model__likelihood__kind": "discretised_logistic_mixture"},
        "is for the images' own levels, but data.binarisation = 'dynamic' turns them into bits; set .* = 'none'",
        {"data__binarisation": "none", "model__likelihood__kind": "discretised_logistic_mixture"},
    ),
    (
        {"data__binarisation": "threshold", "evaluation__binarisations": 2},
        "binarisations = 2 averages over bits drawn several times, and data.binarisation = 'threshold' draws none",
        {"data__binarisation": "fixed", "evaluation__binarisations": 2},
    ),
    (
        {"model__likelihood__kind": "gaussian"},
        "model.likelihood.kind: must be 'bernoulli', 'discretised_logistic' or .*found 'gaussian'",
        {"model__likelihood__kind": "bernoulli"},
    ),
    (
        {"training__batch_size": 55_001},
        "training.batch_size = 55001 is more than the 55,000 training images",
        {"training__batch_size": 55_000},
    ),
    (
        {"evaluation__bound_images": 9001, "data__source": "mnist_mini"},
        r"evaluation.bound_images = 9,001 is more than any split of mnist_mini has \(at most 9,000\)",
        {"evaluation__bound_images": 9000, "data__source": "mnist_mini"},
    ),
    ({"training__epochs": 2**31}, "training.epochs: must be less than 2147483648", {"training__epochs": 2**31 - 1}),
    ({"model__latent_size": 2**31}, "latent_size: must be less than 2147483648", {"model__latent_size": 64}),
    ({"evaluation__binarisations": 1001}, "binarisations: must be at most 1000", {"evaluation__binarisations": 1000}),
    ({"evaluation__binarisations": 0}, "binarisations: must be at least 1", {"evaluation__binarisations": 1}),
    ({"training__epochs": 0}, "epochs: ", {"training__epochs": 1}),
    ({"training__learning_rate": 0.0}, "learning_rate: ", {"training__learning_rate": 1e-12}),
    ({"training__learning_rate_decay": 1.5}, "learning_rate_decay: ", {"training__learning_rate_decay": 1.0}),
    ({"training__learning_rate_decay_epochs": 0}, "decay_epochs: ", {"training__learning_rate_decay_epochs": 1}),
    ({"training__kl_warmup_epochs": -1}, "kl_warmup_epochs: ", {"training__kl_warmup_epochs": 0}),
    ({"training__checkpoint_every_epochs": 0}, "checkpoint_every", {"training__checkpoint_every_epochs": 1}),
    ({"training__checkpoint_every_minutes": 0.0}, "every_minutes: ", {"training__checkpoint_every_minutes": 1e-3}),
    (
        {"evaluation__importance_sampling__images": 10_001},
        "importance_sampling.images = 10,001 is more than the 10,000 test images",
        {"evaluation__importance_sampling__images": 10_000},
    ),
    (
        {"evaluation__hais__images": 1001, "data__source": "mnist_mini"},
        "hais.images = 1,001 is more than the 1,000 test images of .*mnist_mini",
        {"evaluation__hais__images": 1000, "data__source": "mnist_mini"},
    ),
    (
        {"evaluation__hais__initial_step_size": 2.0, "evaluation__hais__maximum_step_size": 1.0},
        "minimum_step_size <= initial_step_size <= maximum_step_size must hold, got 0.0001, 2.0, 1.0 .*; "
        "lower initial_step_size or raise maximum_step_size",
        {"evaluation__hais__initial_step_size": 1.0, "evaluation__hais__maximum_step_size": 1.0},
    ),
    (
        SANDWICH | {"evaluation__hais__minimum_step_size": 0.05},
        r"^test: evaluation: sandwich.starts has 'prior': in hais, minimum_step_size <= initial_step_size <= "
        r"maximum_step_size must hold, got 0.05, 0.01, 0.5 \(from the prior with 10 leapfrog steps\); "
        r"lower minimum_step_size or raise initial_step_size, or leave 'prior' out of sandwich.starts$",
        SANDWICH | {"evaluation__hais__minimum_step_size": 0.05, "evaluation__hais__initial_step_size": 0.05},
    ),
    (
        SANDWICH | {"evaluation__hais__initial_step_size": 0.6},
        "sandwich.starts has 'prior': .* got 0.0001, 0.6, 0.5 .* raise maximum_step_size, or leave 'prior' out",
        SANDWICH | {"evaluation__hais__initial_step_size": 0.6, "evaluation__hais__maximum_step_size": 0.6},
    ),
    (
        SANDWICH | {"evaluation__hais__minimum_step_size": 0.05},
        "sandwich.starts has 'prior'",
        SANDWICH | {"evaluation__hais__minimum_step_size": 0.05, "evaluation__sandwich__enabled": False},
    ),
    (
        {"evaluation__hais__target_acceptance": 1.0},
        "target_acceptance: ",
        {"evaluation__hais__target_acceptance": 0.99},
    ),
    (
        {"evaluation__sandwich__starts": ["prior", "base", "prior"]},
        r"starts must differ from each other, got \['prior', 'base', 'prior'\]; name each once",
        {"evaluation__sandwich__starts": ["prior", "base"]},
    ),
    ({"evaluation__sandwich__starts": []}, "sandwich.starts: ", {"evaluation__sandwich__starts": ["base"]}),
    (
        {"evaluation__until_error__target": 0.02, "evaluation__importance_sampling__samples": 1},
        "until_error.target needs a standard error, and importance_sampling.samples = 1 gives none; take at least 2",
        {"evaluation__until_error__target": 0.02, "evaluation__importance_sampling__samples": 2},
    ),
    (
        {"evaluation__until_error__target": 0.02, "evaluation__hais__enabled": True, "evaluation__hais__chains": 1},
        "and hais.chains = 1 gives none",
        {"evaluation__until_error__target": 0.02, "evaluation__hais__enabled": False, "evaluation__hais__chains": 1},
    ),
    ({"evaluation__until_error__target": 0.0}, "until_error.target: ", {"evaluation__until_error__target": 1e-6}),
    ({"evaluation__binarisations": 0}, "evaluation.binarisations: ", {"evaluation__binarisations": 5}),
    ({"evaluation__hais__start": "flow"}, "hais.start: .*found 'flow'", {"evaluation__hais__start": "base"}),
]


@pytest.mark.parametrize(("broken", "message", "kept"), RULES, ids=[str(sorted(rule[0].items())) for rule in RULES])
def test_rule(broken, message, kept):
    with pytest.raises(ConfigError, match=message):
        build(**broken)
    build(**kept)


def test_from_the_posterior_a_trajectory_stays_near_a_quarter_turn():
    for steps in (1, 3, 40):
        hais = build(evaluation__hais__leapfrog_steps=steps).evaluation.hais
        assert hais.resolved().maximum_step_size * steps == pytest.approx(2)
        assert hais.resolved().initial_step_size <= hais.resolved().maximum_step_size
    assert build(evaluation__hais__start="prior").evaluation.hais.resolved().maximum_step_size == 0.5
    assert build(evaluation__hais__maximum_step_size=0.9).evaluation.hais.resolved().maximum_step_size == 0.9


def test_defaults_of_hais_follow_its_start():
    posterior = build(evaluation__hais__start="posterior").evaluation.hais.resolved()
    assert (posterior.temperatures, posterior.leapfrog_steps, posterior.chains) == (80, 3, 8)
    assert (posterior.schedule, posterior.target_acceptance) == ("linear", 0.8)
    for start in ("prior", "base"):
        hais = build(evaluation__hais__start=start).evaluation.hais
        assert (hais.resolved().temperatures, hais.resolved().leapfrog_steps, hais.resolved().chains) == (499, 10, 16)
        assert (hais.resolved().schedule, hais.resolved().target_acceptance) == ("sigmoid", 0.65)


@pytest.mark.parametrize("start", ["posterior", "prior", "base"])
def test_settings_resolved_from_a_start_are_those_of_a_file_with_that_start(start):
    given = {"evaluation__hais__chains": 5, "evaluation__hais__maximum_step_size": 0.3}
    resolved = build(evaluation__hais__start="base", **given).evaluation.hais.resolved(start)
    names = ("chains", "temperatures", "leapfrog_steps", "schedule", "target_acceptance")
    names += ("initial_step_size", "maximum_step_size")
    own = build(evaluation__hais__start=start, **given).evaluation.hais
    assert [getattr(resolved, name) for name in names] == [getattr(own.resolved(), name) for name in names]
    assert None not in resolved
    assert HaisConfig(**resolved._asdict()).resolved() == resolved


def test_the_sandwich_takes_the_start_of_hais():
    hais = {"evaluation__hais__start": "base"}
    assert build(**hais).evaluation.sandwich_starts == ()
    enabled = {**hais, "evaluation__sandwich__enabled": True}
    assert build(**enabled).evaluation.sandwich_starts == ("base",)
    assert build(**enabled, evaluation__sandwich__starts=["prior"]).evaluation.sandwich_starts == ("prior",)


@pytest.mark.parametrize(("source", "held_out", "training"), [("mnist", 5000, 55_000), ("mnist_mini", 1000, 9000)])
def test_default_validation_split(source, held_out, training):
    data = build(data__source=source).data
    assert (data.held_out, data.training_images) == (held_out, training)


def test_context_size_follows_the_width():
    assert build(model__flow__made__width=320).model.flow.resolved_context_size == 320
    assert RunConfig().model.flow.resolved_context_size == 1920
    assert build(model__flow__kind="spline", model__flow__made__width=320).model.flow.resolved_context_size == 320
    assert build(model__flow__kind="planar", model__flow__made__width=320).model.flow.resolved_context_size == 256
