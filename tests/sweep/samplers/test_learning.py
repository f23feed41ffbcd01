"""Samplers that learn from trials: how they begin, what they are told, that a resumed sweep proposes alike."""

import itertools
import math
import random
from dataclasses import replace
from statistics import median

import pytest
from optuna.trial import TrialState as OptunaState
from scipy.stats import qmc

from iafsweep.config.sweep import SAMPLERS, Procedure, SamplerMember, SweepConfig
from iafsweep.errors import ConfigError
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.files import load_space
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import Parameter
from iafsweep.search_space.validation import check_space
from iafsweep.sweep.samplers.auto import AutoLearner
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.samplers.estimates import estimated_ends
from iafsweep.sweep.samplers.generations import Generations
from iafsweep.sweep.samplers.gp import GpLearner
from iafsweep.sweep.samplers.learning import LearningProposer
from iafsweep.sweep.samplers.optuna_study import StudyTrials
from iafsweep.sweep.samplers.sequences import PointSuggest, place
from iafsweep.sweep.samplers.tpe import TpeLearner
from iafsweep.sweep.storage.events import Finished, Known, Proposed, Reopened, Rung, Started
from iafsweep.sweep.storage.state import replay
from tests.sweep.samplers.test_samplers import HEADER, end_of, row_of, run
from tests.sweep.tiny import DEPTH, RATE, WIDTH, finite_space, tiny_space

SHIPPED = ["quick", "mnist", "fashion", "own_images", "recipe", "mnist_smoke"]  # those that are not listed
LEARNERS = [kind for kind, member in SAMPLERS.members.items() if isinstance(member, SamplerMember) and member.learns]


def space_of(sampler, trials, **sweep):
    objective = "bound_and_time" if sampler == "nsga2" else "bound"
    return tiny_space(sampler=sampler, trials=trials, **{"objective": objective, **sweep})


def at_once(space, count):
    """So many proposals at a time, of which none has ended."""
    rows, proposer = [], make_proposer(space)
    for number in range(1, count + 1):
        rows.append(row_of(proposer.propose(replay(HEADER, rows)), number))
    return [row.parameters for row in rows]


def apart(space, one, other):
    """The largest distance of two configurations in a coordinate, each range a unit long; 1 between branches."""
    if one.keys() != other.keys():
        return 1.0
    places = ((parameter.range, one[parameter.path], other[parameter.path]) for parameter in space.parameters
              if parameter.path in one)  # fmt: skip
    return max(abs(place(among, a) - place(among, b)) for among, a, b in places)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_first_proposals_of_every_shipped_space_spread(name):
    space = load_space(name)
    assert space.sweep.sampler in LEARNERS
    for count in (4, 8):
        proposed = at_once(space, min(count, space.size or count))
        assert min(apart(space, *pair) for pair in itertools.combinations(proposed, 2)) > 0.25 / count
    for parameter in space.parameters:
        if parameter.when is None:  # a quarter of the range each
            values = {values[parameter.path] for values in proposed[:4]}
            assert len(values) >= min(3, parameter.range.size or 4)


def test_a_sweep_of_four_trials_sees_three_depths_at_least_whatever_its_seed():
    """With the default seed of earlier versions all four had depth 0, in near-identical pairs."""
    space = load_space("quick", sweep={"trials": 4})
    for seed in range(10):
        seeded = replace(space, sweep=space.sweep.model_copy(update={"seed": seed}))
        events, _ = run(seeded, 4)  # one after the other, each ended
        assert len({event.parameters[DEPTH] for event in events if isinstance(event, Proposed)}) >= 3


def test_first_proposals_have_a_lower_discrepancy_than_random_ones():
    space = load_space("quick")
    always = [parameter for parameter in space.parameters if parameter.when is None]

    def discrepancies(sampler, count):
        for seed in range(15):
            sweep = space.sweep.model_copy(update={"seed": seed, "sampler": sampler})
            proposed = at_once(replace(space, sweep=sweep), count)
            yield qmc.discrepancy([[place(each.range, values[each.path]) for each in always] for values in proposed])

    for count in (4, 8):
        assert median(discrepancies("tpe", count)) < 0.8 * median(discrepancies("random", count))


def test_a_sweep_that_began_with_random_trials_goes_on_so():
    old = replace(tiny_space(sampler="tpe", trials=8), procedure=Procedure())
    new = tiny_space(sampler="tpe", trials=8)
    assert at_once(old, 4) != at_once(new, 4)
    assert TpeLearner(old)(replay(HEADER, []), 0) is not None  # drawn by the estimator itself, as ever
    assert TpeLearner(new)(replay(HEADER, []), 0) is None


@pytest.mark.parametrize("sampler", LEARNERS)
def test_resumed_proposals_equal_uninterrupted_ones(sampler):
    """The state of each moment is that of a ledger cut there; a proposer of a new process has nothing else."""
    space = space_of(sampler, 20)
    whole, _ = run(space, 7)
    proposed = {event.number: event for event in whole if isinstance(event, Proposed)}
    for number in (3, 7):
        before = whole[: whole.index(proposed[number])]
        assert row_of(make_proposer(space).propose(replay(HEADER, before)), number) == proposed[number]


def test_auto_is_gp_for_the_first_hundred_trials_and_tpe_from_then_on():
    space, ends = space_of("auto", 200), [("completed", 90.0 + number % 7, {}) for number in range(100)]
    for count, objective, learner in (
        (99, "bound", GpLearner),
        (100, "bound", TpeLearner),
        (30, "bound_and_time", TpeLearner),
    ):
        searched = replace(space, sweep=space.sweep.model_copy(update={"objective": objective}))
        state = replay(HEADER, ledger(some(count), ends[:count]))
        proposed, expected = (searched.suggest(each(searched)(state, 5)) for each in (AutoLearner, learner))
        assert proposed == expected
        other = {GpLearner: TpeLearner, TpeLearner: GpLearner}[learner]
        assert proposed != searched.suggest(other(searched)(state, 5))


def test_trials_of_an_earlier_sweep_count_as_the_first_of_auto():
    space = space_of("auto", 200)
    known = [
        Known(
            source=f"a/{number}",
            parameters=values,
            status="completed",
            epochs=9,
            value=95.0,
            best_value=95.0,
            seconds=9.0,
        )
        for number, values in enumerate(some(99))
    ]
    first = Proposed(trial="t0001", number=1, parameters=some(1)[0], seed=0, key="t0001", time="t")
    for rows, learner in ((known, GpLearner), ([*known, first], TpeLearner)):
        state = replay(HEADER, rows)
        assert space.suggest(AutoLearner(space)(state, 5)) == space.suggest(learner(space)(state, 5))


def test_where_a_learner_repeats_itself_another_proposes():
    space, asked = space_of("gp", 20), []
    tried, new = {DEPTH: 0.0, RATE: 0.3}, {DEPTH: 0.0, RATE: 0.6}

    def proposing(name, point):
        def propose(state, seed):
            asked.append(name)
            return PointSuggest(point)

        return propose

    proposer = LearningProposer(space, "gp", proposing("first", tried), otherwise=proposing("second", new))
    rows = [row_of(candidate(space, space.suggest(PointSuggest(tried))), 1)]
    rows.append(row_of(proposer.propose(replay(HEADER, rows)), 2))
    assert rows[1].parameters == space.suggest(PointSuggest(new))
    assert asked == ["first", "second"]
    rows.append(row_of(proposer.propose(replay(HEADER, rows)), 3))  # both repeat themselves: drawn at random
    assert rows[2].parameters not in (rows[0].parameters, rows[1].parameters)
    assert asked[2:] == ["first", *["second"] * 24]


@pytest.mark.parametrize("sampler", ["auto", "gp", "tpe", "cmaes", "nsga2"])
def test_inactive_parameters_are_not_proposed_and_a_finite_space_is_tried_whole(sampler):
    space = replace(finite_space(trials=7), sweep=space_of(sampler, 7).sweep)
    events, count = run(space, 9)
    assert count == space.size == 7
    proposals = [event.parameters for event in events if isinstance(event, Proposed)]
    assert [WIDTH in values for values in proposals] == [values[DEPTH] > 0 for values in proposals]


def ledger(values, ends, order=()):
    """Rows of trials with these values and ends: a status, a bound (its last and best), and rungs by epoch."""
    rows = []
    for number, (parameters, (status, bound, rungs)) in enumerate(zip(values, ends, strict=True), start=1):
        name = f"t{number:04d}"
        rows.append(Proposed(trial=name, number=number, parameters=parameters, seed=0, key=name, time="t"))
        rows += [Rung(trial=name, epoch=epoch, value=value, time="t") for epoch, value in rungs.items()]
        if status is not None:
            epochs = {"completed": 9, "stopped": max(rungs, default=0) + 1}.get(status, 1)
            rows.append(
                Finished(
                    trial=name,
                    status=status,
                    epochs=epochs,
                    value=bound,
                    best_value=bound,
                    seconds=2.0 * epochs,
                    gpu_seconds=0.0,
                    time="t",
                )  # fmt: skip
            )
    return rows


def some(count, **fixed):
    draws = random.Random(count)
    return [{DEPTH: 0, RATE: draws.uniform(1e-3, 1e-2), **fixed} for _ in range(count)]


def test_a_stopped_trial_is_estimated_by_what_completed_ones_gained():
    rows = ledger(
        some(7),
        [
            ("completed", 90.0, {1: 120.0, 3: 100.0}),  # gained 10 from epoch 3 on
            ("completed", 92.0, {1: 118.0, 3: 104.0}),  # 12
            ("completed", 95.0, {1: 130.0, 3: 115.0}),  # 20
            ("stopped", 105.0, {1: 121.0, 2: 108.0}),  # at epoch 3
            ("stopped", 125.0, {}),  # at epoch 1, where they gained 26, 30, 35
            ("diverged", None, {1: 119.0}),
            (None, None, {1: 100.0}),
        ],
    )
    ends = estimated_ends(replay(HEADER, rows))
    assert {name: end.best_value for name, end in ends.items()} == {
        "t0001": 90.0, "t0002": 92.0, "t0003": 95.0, "t0004": 105.0 - 12.0, "t0005": 125.0 - 30.0, "t0006": 95.0,
    }  # fmt: skip
    assert {end.status for end in ends.values()} == {"completed"}
    assert "t0007" not in ends


def test_no_estimate_is_better_than_the_best_trial_and_nothing_known_is_the_worst():
    """A bound early in training may be lower than it looks; a stopped trial never becomes the incumbent."""
    rows = ledger(
        some(5),
        [
            ("completed", 90.0, {3: 130.0}),  # gained 40
            ("completed", 99.0, {3: 139.0}),
            ("stopped", 100.0, {1: 101.0, 2: 100.5}),  # at 3: 60
            ("stopped", 97.0, {1: 102.0}),  # at 2, where no completed trial has a rung
            ("stopped", math.nan, {}),
        ],
    )
    ends = estimated_ends(replay(HEADER, rows))
    assert [end.best_value for end in ends.values()] == [90.0, 99.0, 90.0, 99.0, 99.0]
    assert estimated_ends(replay(HEADER, ledger(some(2), [("stopped", 90.0, {}), ("failed", None, {})]))) == {}


def test_early_stopped_trials_are_ranked_as_if_trained_on():
    """Curves that never cross, three in four stopped: the estimates have the order of the bounds there would be."""
    draws = random.Random(3)
    finals = [draws.uniform(90, 100) for _ in range(40)]
    curves = [{epoch: final + 60 / epoch for epoch in (1, 3)} for final in finals]
    ends = [
        ("completed", final, curve) if number % 4 == 0 else ("stopped", curve[3], {1: curve[1], 2: curve[3] + 1})
        for number, (final, curve) in enumerate(zip(finals, curves, strict=True))
    ]
    estimates = [end.best_value for end in estimated_ends(replay(HEADER, ledger(some(40), ends))).values()]
    best = min(final for final, (status, *_) in zip(finals, ends, strict=True) if status == "completed")
    assert estimates == pytest.approx([max(final, best) for final in finals])


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_a_low_bound_early_in_training_does_not_beat_a_completed_one(sampler):
    """Stopped with a lower bound than any final one (as with a warm-up), at rates above 6e-3; good ones are below."""
    values = [{DEPTH: 0, RATE: 2e-3 + 2e-4 * (number % 15)} for number in range(15)]
    values += [{DEPTH: 0, RATE: 6e-3 + 2e-4 * (number % 15)} for number in range(15)]
    order = random.Random(0).sample(range(30), 30)
    ends = [("completed", 100 + number / 10, {3: 70 + number / 10}) for number in range(15)]
    ends += [("stopped", 80.0 + number / 10, {1: 99.0, 2: 90.0}) for number in range(15)]
    space = replace(space_of(sampler, 60), parameters=(space_of(sampler, 60).parameters[2],))
    rows = ledger([{RATE: values[place][RATE]} for place in order], [ends[place] for place in order])
    rates = []
    for seed in range(9):
        seeded = replace(space, sweep=space.sweep.model_copy(update={"seed": seed}))
        rates.append(make_proposer(seeded).propose(replay(HEADER, rows)).values[RATE])
    assert median(rates) < 6e-3


def test_all_of_a_space_is_told_to_a_sampler_that_knows_no_conditions():
    space = space_of("tpe", 20)
    rows, _ = run(space, 8)
    rows.append(row_of(make_proposer(space).propose(replay(HEADER, rows)), 9))
    state = replay(HEADER, rows)
    told = StudyTrials(space, whole=True).told(state, estimated_ends(state))
    assert all(trial.params.keys() == {DEPTH, WIDTH, RATE} for trial in told)
    assert [trial.state for trial in told] == [OptunaState.COMPLETE] * 8 + [OptunaState.RUNNING]
    for trial, own in zip(told, state.trials, strict=True):
        assert own.proposed.parameters.items() <= trial.params.items()
    again = StudyTrials(space, whole=True).told(state, estimated_ends(state))
    assert [trial.params for trial in again] == [trial.params for trial in told]


def test_what_is_drawn_for_an_inactive_parameter_tells_nothing():
    space = space_of("gp", 20)
    rows = ledger([{DEPTH: 0, RATE: 1e-3 + 1e-5 * number} for number in range(60)], [("completed", 90.0, {})] * 60)
    widths = [trial.params[WIDTH] for trial in StudyTrials(space, whole=True).told(replay(HEADER, rows))]
    assert 18 < widths.count(4) < 42


@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_it_learns_where_numbers_are_good(sampler):
    """The best rate is 4e-3, of 1e-3 to 1e-2: later proposals are nearer to it than the first."""
    space = replace(space_of(sampler, 40), parameters=tiny_space().parameters[2:])
    rows, proposer = [], make_proposer(space)
    for number in range(1, 26):
        row = row_of(proposer.propose(replay(HEADER, rows)), number)
        bound = 90 + 10 * abs(math.log(row.parameters[RATE] / 4e-3))
        end = end_of(row, number).model_copy(update={"status": "completed", "value": bound, "best_value": bound})
        rows += [row, end]
    off = [abs(math.log(row.parameters[RATE] / 4e-3)) for row in rows if isinstance(row, Proposed)]
    assert median(off[-8:]) < 0.3 * median(off[:10])


def test_the_rest_of_a_space_is_proposed_by_tpe_beside_cmaes():
    space = space_of("cmaes", 60)
    values = [{DEPTH: number % 4, RATE: 2e-3 + 1e-4 * (number % 30)} for number in range(60)]
    values = [{**each, WIDTH: 4 + 4 * (number % 2)} if each[DEPTH] else each for number, each in enumerate(values)]
    ends = [("completed", 90.0 if each.get(WIDTH) == 8 else 120.0, {}) for each in values]
    state, found = replay(HEADER, ledger(values, ends)), []
    for seed in range(15):
        seeded = replace(space, sweep=space.sweep.model_copy(update={"seed": seed}))
        found.append(make_proposer(seeded).propose(state).values)
    widths = [values[WIDTH] for values in found if WIDTH in values]
    assert widths.count(8) > 2 * widths.count(4)


def test_children_of_nsga2_come_from_the_front():
    """Two objectives at odds: the bound wants depth 3, the time of an epoch depth 0; the rate is bad for both."""
    space = space_of("nsga2", 32)  # generations of 4
    rows, proposer, draws = [], make_proposer(space), random.Random(0)
    for number in range(1, 33):
        row = row_of(proposer.propose(replay(HEADER, rows)), number)
        loss = 1000 * row.parameters[RATE]
        figures = {
            "status": "completed",
            "epochs": 1,
            "best_value": 100 - row.parameters[DEPTH] + loss + draws.random() / 9,
        }
        end = end_of(row, number).model_copy(update=figures | {"seconds": 1 + row.parameters[DEPTH] + loss})
        rows += [row, end]
    rates = [row.parameters[RATE] for row in rows if isinstance(row, Proposed)]
    assert median(rates[-8:]) < 0.7 * median(rates[:8])


def test_generations_are_a_function_of_the_rows():
    def proposed(name):
        return Proposed(trial=name, number=int(name[1:]), parameters={}, seed=0, key=name, time="t")

    def finished(name, status="completed"):
        return Finished(trial=name, status=status, epochs=1, best_value=1.0, seconds=1.0, gpu_seconds=0.0, time="t")

    rows = [
        *map(proposed, ("t0001", "t0002", "t0003")),
        finished("t0002"),
        finished("t0001", "stopped"),  # does not count
        proposed("t0004"),
        Started(trial="t0004", time="t"),
        finished("t0003"),  # the second of the first generation
        proposed("t0005"),
        finished("t0004"),  # of the first, late
        finished("t0005"),
        proposed("t0006"),
        Reopened(trial="t0001", time="t"),
        finished("t0001"),
        finished("t0006"),
    ]
    found = Generations(rows, 2, lambda end: end.status == "completed")
    assert found.complete == [("t0002", "t0003"), ("t0005", "t0006")]
    assert found.of == {"t0001": 0, "t0002": 0, "t0003": 0, "t0004": 0, "t0005": 1, "t0006": 1}
    assert found.now == 2


@pytest.mark.parametrize("sampler", LEARNERS)
def test_known_trials_of_an_earlier_sweep_stand_for_the_start(sampler):
    """The first proposal is made by what they came to: rates near 2e-3 were good, in so many that chance is no part."""
    space = replace(space_of(sampler, 40), parameters=tiny_space().parameters[2:])
    known = [
        Known(
            source=f"a/{number}",
            parameters={RATE: 1e-3 + 2e-4 * number},
            status="completed",
            epochs=4,
            value=100 + 10 * abs(number - 5),
            best_value=100 + 10 * abs(number - 5),
            seconds=4.0 + abs(number - 5),
        )  # fmt: skip
        for number in range(40)
    ]
    found = []
    for seed in range(5):
        seeded = replace(space, sweep=space.sweep.model_copy(update={"seed": seed}))
        found.append(make_proposer(seeded).propose(replay(HEADER, known)).values[RATE])
    assert median(found) < 3e-3


def test_gp_weighs_two_objectives_too():
    space = space_of("gp", 20, objective="bound_and_time")
    rows, _ = run(space, 8)
    assert RATE in space.suggest(GpLearner(space)(replay(HEADER, rows), 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sampler": "cmaes", "objective": "bound_and_time"},
            "'cmaes' is for objective = 'bound'.*'auto', 'tpe', 'gp', 'nsga2'",
        ),
        (
            {"sampler": "nsga2"},
            "'nsga2' is for objective = 'bound_and_time', got 'bound'.*'auto', 'tpe', 'gp', 'cmaes'",
        ),
    ],
)
def test_what_a_sampler_cannot_make_small_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SweepConfig.model_validate(settings)


def test_cmaes_without_numbers_is_refused():
    conditional = Parameter(RATE, FloatRange(1e-3, 1e-2), parse_condition(f"{DEPTH} == 1"))
    space = replace(space_of("cmaes", 8), parameters=(Parameter(DEPTH, Choice((0, 1))), conditional))
    with pytest.raises(ConfigError, match="cmaes needs an `int` or `float` range without `when`.*take 'tpe'"):
        check_space(space)


@pytest.mark.parametrize(
    "among",
    [
        Choice(("a", "b", "c")),
        IntRange(3, 9),
        IntRange(4, 20, 4),
        IntRange(1, 100, log=True),
        FloatRange(-0.3, 0.3, 0.1),
        FloatRange(1e-4, 1e-2, log=True),
        FloatRange(-2.0, 5.0),
        Choice((1,)),
        IntRange(4, 4),
        FloatRange(2.0, 2.0),
    ],
)
def test_the_place_of_a_value_gives_it_back(among):
    space = replace(tiny_space(), parameters=(Parameter("model.posterior_offset", among),))
    for seed in range(30):
        (value,) = space.suggest(RandomSuggest(random.Random(seed))).values()
        at = place(among, value)
        assert 0 <= at <= 1
        assert space.suggest(PointSuggest({"model.posterior_offset": at})) == {
            "model.posterior_offset": pytest.approx(value)
        }
