"""Search spaces as objects: define by run, the grid as the product set, conditions, and keys."""

import itertools
import pickle
import random

import pytest

from iafsweep.config import RunConfig
from iafsweep.config.files import build_config, with_values
from iafsweep.errors import ConfigError
from iafsweep.search_space.candidate import configuration_key
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.preview import preview_table, sample_configurations
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import Parameter, SearchSpace

DEPTH, WIDTH, LATENT = "model.flow.depth", "model.flow.made.width", "model.latent_size"


def space(*parameters, **base):
    config = build_config(with_values({}, {key.replace("__", "."): value for key, value in base.items()}), "test")
    return SearchSpace(
        base=config,
        parameters=tuple(
            Parameter(path, values, parse_condition(when[0]) if when else None) for path, values, *when in parameters
        ),
    )


CONDITIONAL = space(
    (DEPTH, IntRange(0, 2)),
    (WIDTH, Choice((128, 256)), "model.flow.depth > 0"),
    ("model.flow.gated", Choice((True, False)), "model.flow.depth > 1"),
    (LATENT, Choice((8, 16))),
)


def test_grid_is_the_product_set():
    found = space(
        (DEPTH, IntRange(0, 2)), (LATENT, Choice((8, 16))), ("training.learning_rate", FloatRange(0.1, 0.3, 0.1))
    )
    product = [
        {DEPTH: depth, LATENT: latent, "training.learning_rate": rate}
        for depth, latent, rate in itertools.product([0, 1, 2], [8, 16], [0.1, 0.2, 0.3])
    ]
    assert list(found.grid()) == product
    assert found.size == len(product)


def test_grid_leaves_inactive_parameters_out():
    product = [
        {DEPTH: depth} | ({WIDTH: width} if depth > 0 else {}) | ({"model.flow.gated": gated} if depth > 1 else {})
        | {LATENT: latent}
        for depth in [0, 1, 2]
        for width in ([128, 256] if depth > 0 else [None])
        for gated in ([True, False] if depth > 1 else [None])
        for latent in [8, 16]
    ]  # fmt: skip
    assert list(CONDITIONAL.grid()) == product
    assert CONDITIONAL.size == len(product) == 2 * (1 + 2 + 4)
    keys = {configuration_key(CONDITIONAL.config(values)) for values in product}
    assert len(keys) == len(product)


def test_grid_of_numbers_without_steps_is_an_error():
    endless = space((DEPTH, IntRange(0, 2)), ("training.learning_rate", FloatRange(1e-4, 1e-2, log=True)))
    assert endless.size is None
    with pytest.raises(ConfigError, match=r"finite space, but `training.learning_rate` is any number 0.0001 to 0.01"):
        endless.grid()


def test_counting_needs_no_listing():
    huge = space(*[(path, IntRange(1, 10**9)) for path in ("training.epochs", "training.kl_warmup_epochs")])
    assert huge.size == 10**18
    looked_at = space(("training.epochs", IntRange(1, 10**9)), (LATENT, Choice((8, 16)), "training.epochs > 3"))
    assert looked_at.size is None


def test_suggestions_cover_the_grid_and_nothing_else():
    source = RandomSuggest(random.Random(0))
    suggested = {tuple(CONDITIONAL.suggest(source).items()) for _ in range(500)}
    assert suggested == {tuple(values.items()) for values in CONDITIONAL.grid()}


class Recorder:
    """Proposes the first value, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def choice(self, name, options):
        self.asked.append((name, tuple(options)))
        return options[0]

    def integer(self, name, low, high, *, step, log):
        self.asked.append((name, low, high, step, log))
        return low

    def real(self, name, low, high, *, step, log):
        self.asked.append((name, low, high, step, log))
        return low


def test_samplers_are_asked_in_order_and_for_active_parameters_alone():
    recorder = Recorder()
    assert CONDITIONAL.suggest(recorder) == {DEPTH: 0, LATENT: 8}
    assert recorder.asked == [(DEPTH, 0, 2, 1, False), (LATENT, (8, 16))]
    recorder = Recorder()
    space(("training.learning_rate", FloatRange(1e-4, 1e-2, log=True))).suggest(recorder)
    assert recorder.asked == [("training.learning_rate", 1e-4, 1e-2, None, True)]


def test_same_seed_same_suggestions():
    def draw(seed):
        source = RandomSuggest(random.Random(seed))
        return [CONDITIONAL.suggest(source) for _ in range(20)]

    assert draw(1) == draw(1) != draw(2)


def test_random_numbers_stay_in_range_and_fill_it():
    source = RandomSuggest(random.Random(0))
    whole = [source.integer("n", 1, 8, step=1, log=True) for _ in range(4000)]
    assert set(whole) == set(range(1, 9))
    assert whole.count(1) > 3 * whole.count(8)
    assert {source.integer("n", 2, 8, step=3, log=False) for _ in range(100)} == {2, 5, 8}
    real = [source.real("x", 1e-4, 1e-2, step=None, log=True) for _ in range(4000)]
    assert all(1e-4 <= value <= 1e-2 for value in real)
    below = sum(value < 1e-3 for value in real) / len(real)
    assert abs(below - 0.5) < 5 * 0.5 / 4000**0.5
    stepped = {round(source.real("x", 0.1, 0.3, step=0.1, log=False), 12) for _ in range(100)}
    assert stepped == {0.1, 0.2, 0.3}


def test_config_sets_values_over_the_base():
    config = CONDITIONAL.config({DEPTH: 2, WIDTH: 256, "model.flow.gated": False, LATENT: 16})
    assert config.model.flow.depth == 2
    assert (config.model.flow.made.width, config.model.flow.gated, config.model.latent_size) == (256, False, 16)
    assert config.training == CONDITIONAL.base.training


def test_inactive_values_are_dropped_and_missing_ones_are_the_base():
    assert CONDITIONAL.active({LATENT: 8, WIDTH: 256, DEPTH: 0}) == {DEPTH: 0, LATENT: 8}
    assert CONDITIONAL.config({DEPTH: 0, WIDTH: 256}).model.flow.made.width == 1920
    assert CONDITIONAL.config({}) == CONDITIONAL.base


def test_a_condition_on_an_inactive_parameter_sees_the_base():
    nested = space(
        (DEPTH, IntRange(0, 2)),
        (WIDTH, Choice((128, 256)), "model.flow.depth > 0"),
        ("model.flow.made.hidden_layers", IntRange(1, 3), "model.flow.made.width > 1000"),
    )
    # At depth 0 the width is inactive, so that the base's 1920 counts.
    assert nested.active({DEPTH: 0, WIDTH: 128, "model.flow.made.hidden_layers": 3}) == {
        DEPTH: 0,
        "model.flow.made.hidden_layers": 3,
    }
    assert nested.active({DEPTH: 1, WIDTH: 128, "model.flow.made.hidden_layers": 3}) == {DEPTH: 1, WIDTH: 128}


def test_a_condition_may_look_at_fixed_fields():
    fixed = space((LATENT, Choice((8, 16)), "model.encoder.kind == 'resnet'"))
    assert fixed.size == 2
    assert space((LATENT, Choice((8, 16)), "model.encoder.kind == 'mlp'")).size == 1


def test_lists_reach_the_configuration_as_lists():
    lists = space(("model.encoder.mlp.hidden_sizes", Choice(((300, 300), (500,)))))
    assert [values["model.encoder.mlp.hidden_sizes"] for values in lists.grid()] == ["[300, 300]", "[500]"]
    sizes = [lists.config(values).model.encoder.mlp.hidden_sizes for values in lists.grid()]
    assert sizes == [(300, 300), (500,)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model.latent": 8},
            "`model.latent` is not a parameter of this search space: did you mean `model.latent_size`",
        ),
        ({LATENT: 9}, "`model.latent_size`: 9 is not one of 8, 16"),
        ({DEPTH: 3}, "`model.flow.depth`: 3 is not a whole number from 0 to 2"),
        ({DEPTH: "1"}, "`model.flow.depth`: '1' is not a whole number"),
        ({DEPTH: True}, "`model.flow.depth`: True is not"),
    ],
)
def test_values_outside_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        CONDITIONAL.config(values)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], "at least one parameter"),
        ([(LATENT, Choice((8,))), (LATENT, Choice((9,)))], "`model.latent_size` is defined twice"),
        (
            [(WIDTH, Choice((128,)), "model.flow.depth > 0"), (DEPTH, IntRange(0, 2))],
            "`model.flow.made.width`: when, column 1: `model.flow.depth` must be defined above",
        ),
        ([(DEPTH, IntRange(0, 2), "model.flow.depth > 0")], "must be defined above `model.flow.depth`"),
        (
            [(DEPTH, IntRange(0, 2)), (WIDTH, Choice((128,)), "model.flow.depth == 'deep'")],
            "`model.flow.depth` is a number such as 0; compare it with one of that kind",
        ),
        ([(WIDTH, Choice((128,)), "model.encoder.kind > 0")], "column 1: `model.encoder.kind` is a text"),
        ([(WIDTH, Choice((128,)), "model.flow.gated == 1")], "`model.flow.gated` is a true or false"),
        ([(WIDTH, Choice((128,)), "model.encoder.mlp.hidden_sizes == 3")], "hidden_sizes` is a list"),
    ],
)
def test_rules_of_definition(parameters, message):
    with pytest.raises(ConfigError, match=message):
        space(*parameters)


def test_frozen_and_comparable_and_picklable():
    with pytest.raises(AttributeError):
        CONDITIONAL.base = RunConfig()
    assert CONDITIONAL.size is not None
    again = pickle.loads(pickle.dumps(CONDITIONAL))
    assert again == CONDITIONAL
    assert list(again.grid()) == list(CONDITIONAL.grid())


def test_preview_lists_small_spaces_whole_and_samples_large_ones():
    whole = sample_configurations(CONDITIONAL, 20)
    assert [sample.values for sample in whole] == list(CONDITIONAL.grid())
    few = sample_configurations(CONDITIONAL, 5, seed=3)
    assert len({sample.key for sample in few}) == 5
    assert few == sample_configurations(CONDITIONAL, 5, seed=3) != sample_configurations(CONDITIONAL, 5, seed=4)
    with pytest.raises(ValueError, match="`count >= 1`"):
        sample_configurations(CONDITIONAL, 0)


def test_preview_of_a_space_that_repeats_itself_ends():
    repeats = space((WIDTH, FloatRange(128, 256)), model__flow__depth=0)
    object.__setattr__(repeats.parameters[0], "range", IntRange(128, 10**6))
    assert len(sample_configurations(repeats, 3)) == 1


def test_preview_table():
    samples = sample_configurations(CONDITIONAL, 20)
    table = preview_table(CONDITIONAL, samples, lambda config: 1000 * (1 + config.model.flow.depth))
    assert table.header == ("#", "parameters", DEPTH, WIDTH, "model.flow.gated", LATENT)
    assert table.rows[0] == ("1", "1,000", "0", "-", "-", "8")
    assert table.rows[-1] == ("14", "3,000", "2", "256", "false", "16")
    assert "configurations: 14" in table.notes
    assert "model.flow.made.width: one of 128, 256, when model.flow.depth > 0" in table.notes
