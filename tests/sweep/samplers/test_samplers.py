import random
import time
from copy import deepcopy
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from iafsweep.errors import ConfigError
from iafsweep.search_space.candidate import candidate, configuration_key
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.preview import sample_configurations
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import Parameter
from iafsweep.search_space.validation import check_first_points
from iafsweep.sweep.samplers.base import why_exhausted
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.samplers.optuna_study import BAD_BOUND, frozen_trial
from iafsweep.sweep.samplers.tpe import TpeLearner
from iafsweep.sweep.storage.events import Finished, Header, Known, Proposed, trial_name
from iafsweep.sweep.storage.state import replay
from tests.sweep.tiny import DEPTH, RATE, WIDTH, finite_space, tiny_space

pytestmark = pytest.mark.faults

HEADER = Header(sweep="abc", created="t", seed=0, space="s")
SAMPLERS = ["tpe", "random", "quasi_random"]


def row_of(found, number):
    return Proposed(
        trial=trial_name(number),
        number=number,
        parameters=dict(found.values),
        seed=found.config.training.seed,
        key=found.key,
        time="t",
    )


def end_of(proposed, number):
    status = "stopped" if number % 3 == 0 else "diverged" if number % 7 == 0 else "completed"
    value = 100.0 + proposed.parameters.get(DEPTH, 0) + abs(1e3 * proposed.parameters.get(RATE, 0.0) - 3)
    return Finished(
        trial=proposed.trial,
        status=status,
        epochs=2 if status == "stopped" else 4,
        value=None if status == "diverged" else value,
        best_epoch=2,
        best_value=value,
        seconds=1.0,
        gpu_seconds=0.0,
        time="t",
    )


def run(space, count, events=(), proposer=None, resumed_at=None):
    """Propose and end ``count`` trials one after the other; with a fresh proposer from ``resumed_at`` on."""
    events = list(events)
    proposer = proposer or make_proposer(space)
    for number in range(1, count + 1):
        if resumed_at == number:
            proposer = make_proposer(space)
        found = proposer.propose(replay(HEADER, events))
        if found is None:
            return events, number - 1
        proposed = row_of(found, number)
        events += [proposed, end_of(proposed, number)]
    return events, count


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_resumed_proposals_equal_uninterrupted_ones(sampler):
    space = tiny_space(sampler=sampler, trials=24)
    whole, _ = run(space, 24)
    for resumed_at in (2, 11, 24):
        assert run(space, 24, resumed_at=resumed_at)[0] == whole


@pytest.mark.parametrize("sampler", ["random", "quasi_random"])
def test_duplicates_of_the_whole_walk_do_not_exhaust_a_resumed_sweep(sampler):
    """A hundred in a row do; of those passed before, the rows of the ledger and their duplicates are no part."""
    space = rates_space(100, sampler=sampler, trials=100)
    whole, count = run(space, 100)
    assert count > 90
    for resumed_at in (count - 5, count):
        assert run(space, 100, resumed_at=resumed_at) == (whole, count)


def rates_space(count, **sweep):
    """So many learning rates, nothing else."""
    rates = Choice(tuple(1e-3 + 1e-5 * number for number in range(count)))
    return replace(tiny_space(**sweep), parameters=(Parameter(RATE, rates),))


def test_a_population_as_large_as_its_space_finds_all_its_members():
    for seed in range(12):
        space = rates_space(32, sampler="random", scheduler="pbt", trials=32, seed=seed)
        assert run(space, 32)[1] == 32


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seed_decides(sampler):
    assert run(tiny_space(sampler=sampler, seed=1), 6)[0] == run(tiny_space(sampler=sampler, seed=1), 6)[0]
    assert run(tiny_space(sampler=sampler, seed=1), 6)[0] != run(tiny_space(sampler=sampler, seed=2), 6)[0]


@pytest.mark.parametrize("sampler", [*SAMPLERS, "grid"])
def test_finite_space_is_tried_once_each_and_then_exhausted(sampler):
    space = finite_space(sampler=sampler, trials=50)
    events, count = run(space, 50)
    assert count == space.size == 7
    keys = [event.key for event in events if isinstance(event, Proposed)]
    assert len(set(keys)) == 7


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_finite_space_is_trained_whole_where_drawing_stops_short(sampler):
    """24 configurations; by drawing alone random ends at 23 with this seed."""
    parameters = (
        Parameter("model.latent_size", IntRange(1, 6)),
        Parameter("training.batch_size", Choice((500, 1000, 2000, 3000))),
    )
    space = replace(tiny_space(sampler=sampler, trials=24, seed=39), parameters=parameters)
    assert run(space, 30, resumed_at=23)[1] == space.size == 24
    assert why_exhausted(space) == "The space holds no further configurations."


@pytest.mark.parametrize("sampler", ["random", "quasi_random"])
def test_larger_finite_spaces_are_trained_whole_too(sampler):
    parameters = (
        Parameter("model.latent_size", IntRange(1, 6)),
        Parameter("training.batch_size", Choice(tuple(range(100, 2100, 100)))),
    )
    for seed in range(3):
        space = replace(tiny_space(sampler=sampler, trials=120, seed=seed), parameters=parameters)
        assert run(space, 120)[1] == 120


def test_where_the_number_is_not_known_the_sentence_says_no_more_than_is_true():
    assert why_exhausted(tiny_space()) == (
        "None of 100 proposals in a row was new; the space may hold further configurations."
    )
    assert "listed" in why_exhausted(tiny_space(sampler="listed"))
    many = replace(tiny_space(), parameters=(Parameter("training.seed", IntRange(0, 10**6)),))
    assert many.size == 10**6 + 1
    assert "may hold further" in why_exhausted(many)


def test_grid_is_the_product_set_in_order_also_after_a_resume():
    space = finite_space(sampler="grid", trials=50)
    events, _ = run(space, 7, resumed_at=4)
    assert [event.parameters for event in events if isinstance(event, Proposed)] == list(space.grid())


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_inactive_parameters_are_not_proposed_and_do_not_count_as_a_difference(sampler):
    events, _ = run(finite_space(sampler=sampler, trials=50), 7)
    proposals = [event.parameters for event in events if isinstance(event, Proposed)]
    assert [WIDTH in values for values in proposals] == [values[DEPTH] > 0 for values in proposals]


def test_tpe_learns():
    space = tiny_space(trials=40)
    events, _ = run(space, 40)
    depths = [event.parameters[DEPTH] for event in events if isinstance(event, Proposed)]
    assert sum(depths[20:]) < sum(depths[:10]) * 2  # depth costs a nat each


def test_trial_seed_is_a_function_of_sweep_seed_and_configuration():
    space, other = tiny_space(seed=1), tiny_space(seed=2)
    values = {DEPTH: 1, WIDTH: 8, RATE: 2e-3}
    same = candidate(space, dict(reversed(values.items())))
    assert candidate(space, values).config == same.config
    assert candidate(space, values).config.training.seed != candidate(other, values).config.training.seed
    assert candidate(space, values).key == configuration_key(space.config(values))


def told(**changes):
    space = tiny_space()
    proposed = row_of(candidate(space, {DEPTH: 0, RATE: 2e-3}), 1)
    end = end_of(proposed, 1).model_copy(update=changes)
    events = [proposed] if changes.get("status") == "running" else [proposed, end]
    trial = replay(HEADER, events).trials[0]
    return frozen_trial(space, trial.proposed.parameters, trial.finished)


def test_what_the_estimator_is_told():
    complete = told(status="completed", best_value=97.0, value=99.0)
    assert (complete.state, complete.value) == (OptunaState.COMPLETE, 97.0)
    stopped = told(status="stopped", epochs=3, value=99.0)
    assert (stopped.state, stopped.intermediate_values) == (OptunaState.PRUNED, {3: 99.0})
    for status in ("diverged", "oom", "failed"):
        bad = told(status=status, value=None, best_value=50.0)
        assert (bad.state, bad.intermediate_values) == (OptunaState.PRUNED, {0: BAD_BOUND})
    assert told(status="running").state == OptunaState.RUNNING
    assert told(status="completed", best_value=None).state == OptunaState.PRUNED
    assert set(complete.params) == {DEPTH, RATE}


def test_row_of_another_space_is_not_told():
    proposed = row_of(candidate(tiny_space(), {DEPTH: 0, RATE: 2e-3}), 1)
    for values in ({DEPTH: 0}, {DEPTH: 9, RATE: 2e-3}, {DEPTH: 0, RATE: 2e-3, WIDTH: 4}, {DEPTH: 0, RATE: "fast"}):
        foreign = proposed.model_copy(update={"parameters": values})
        assert frozen_trial(tiny_space(), foreign.parameters, None) is None


def tried(space, *values):
    return replace(space, first=check_first_points(space, values))


def test_first_points_come_first_and_once():
    space = tried(tiny_space(sampler="random"), {DEPTH: 2, WIDTH: 8, RATE: 2e-3}, {DEPTH: 0, RATE: 5e-3})
    rows = []
    for number in (1, 2, 3):
        found = make_proposer(space).propose(replay(HEADER, rows))
        rows.append(
            Proposed(
                trial=f"t000{number}",
                number=number,
                parameters=found.values,
                seed=found.config.training.seed,
                key=found.key,
                time="t",
            )
        )
    assert [row.parameters for row in rows[:2]] == list(space.first)
    alone = make_proposer(tiny_space(sampler="random")).propose(replay(HEADER, []))
    assert rows[2].parameters == alone.values


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({DEPTH: 0}, "number 1: `training.learning_rate` has no value; it is"),
        ({DEPTH: 0, RATE: 2e-3, WIDTH: 8}, "`model.flow.made.width` does nothing here, it needs model.flow.depth > 0"),
        ({DEPTH: 9, RATE: 2e-3}, "9 is"),
        ({"model.latent_size": 9}, "`model.latent_size` is not searched"),
        ({DEPTH: {}, RATE: 2e-3}, "must be one value"),
    ],
)
def test_wrong_first_points_are_refused(point, message):
    with pytest.raises(ConfigError, match=message):
        tried(tiny_space(), point)


def test_known_trials_are_told_to_the_sampler_and_are_no_trials():
    space = tiny_space(trials=40)
    # Low depths were good, in so many trials that chance plays no part.
    known = [
        Known(source=f"a/{number}",
              parameters={DEPTH: depth, RATE: 2e-3 + number * 1e-5, **({WIDTH: 8} if depth else {})},
              status="completed", epochs=4, value=value, best_value=value, seconds=1.0)
        for number in range(30)
        for depth, value in [(number % 4, 100.0 if number % 4 == 1 else 200.0 + number)]
    ]  # fmt: skip
    warm = replay(HEADER, known)
    assert warm.trials == ()
    assert warm.keys == frozenset()
    found = [space.suggest(TpeLearner(space)(warm, seed))[DEPTH] for seed in range(20)]
    assert found.count(1) > 12
    assert TpeLearner(space)(replay(HEADER, []), 0) is None


def test_two_objectives_are_told_bound_and_time():
    space = tiny_space(trials=40, objective="bound_and_time")
    end = Finished(trial="t0001", status="completed", epochs=4, best_value=90.0, seconds=8.0, gpu_seconds=0.0, time="t")
    told = frozen_trial(space, {DEPTH: 0, RATE: 2e-3}, end, objectives=2)
    assert told.values == [90.0, 2.0]
    stopped = frozen_trial(
        space, {DEPTH: 0, RATE: 2e-3}, end.model_copy(update={"status": "stopped", "value": 95.0}), 2
    )
    assert (stopped.state.name, stopped.intermediate_values) == ("PRUNED", {})
    rows = []
    for number in range(1, 13):
        values = {DEPTH: 0, RATE: 1e-3 * number / 2 + 1e-3}
        name = f"t{number:04d}"
        rows.append(Proposed(trial=name, number=number, parameters=values, seed=0, key=name, time="t"))
        rows.append(end.model_copy(update={"trial": name, "status": "completed" if number % 3 else "stopped"}))
    assert RATE in space.suggest(TpeLearner(space)(replay(HEADER, rows), 1))


@pytest.mark.parametrize("sampler", [*SAMPLERS, "grid"])
def test_steps_through_zero_are_the_numbers_a_person_writes(sampler):
    """Whatever arithmetic a sampler has: what it proposes equals the literal of a `when`, and it can be told of it."""
    offset, rate = "model.posterior_offset", FloatRange(0.1, 0.4, step=0.1)
    space = replace(
        tiny_space(sampler=sampler, trials=10),
        parameters=(
            Parameter(offset, FloatRange(-0.3, 0.3, step=0.1)),
            Parameter(RATE, rate, parse_condition(f"{offset} == 0.0 or {offset} == 0.3")),
        ),
    )
    events, found = run(space, 13)
    assert found == space.size == 13
    values = [event.parameters for event in events if isinstance(event, Proposed)]
    assert {repr(each[offset]) for each in values} == {"-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2", "0.3"}
    assert {each[offset] for each in values if RATE in each} == {0.0, 0.3}
    assert {repr(each[RATE]) for each in values if RATE in each} == {"0.1", "0.2", "0.3", "0.4"}
    assert all(frozen_trial(space, each, None) is not None for each in values)
    assert [sample.values[offset] for sample in sample_configurations(space, 13)][6] == 0.0
    assert check_first_points(space, [{offset: -0.3 + 3 * 0.1, RATE: 0.1 + 2 * 0.1}]) == ({offset: 0.0, RATE: 0.3},)


def test_the_finest_steps_can_be_proposed_and_told():
    for low, high, step in ((0.0, 1.0, 1e-7), (-0.3, 0.3, 3e-8), (999.9, 1000.0, 1e-4)):
        finest = FloatRange(low, high, step)
        space = replace(tiny_space(trials=20, sampler="tpe"), parameters=(Parameter("model.posterior_offset", finest),))
        events, found = run(space, 20)
        assert found == 20
        values = [event.parameters for event in events if isinstance(event, Proposed)]
        assert all(frozen_trial(space, each, None) is not None for each in values)


def copied(told):
    """A trial as Optuna makes it, which it copies whole."""
    return optuna.trial.create_trial(
        state=told.state,
        values=told.values,
        params=dict(told.params),
        distributions=dict(told.distributions),
        intermediate_values=dict(told.intermediate_values),
    )


@pytest.mark.parametrize("objective", ["bound", "bound_and_time"])
def test_a_study_that_shares_its_trials_proposes_as_one_that_copies_them(objective, monkeypatch):
    space = tiny_space(trials=40, objective=objective)
    events = run(space, 30)[0]
    waiting = row_of(make_proposer(space).propose(replay(HEADER, events)), 31)
    state, learner = replay(HEADER, [*events, waiting]), TpeLearner(space)
    assert {end.status for end in (trial.finished for trial in state.finished)} == {"completed", "stopped", "diverged"}
    shared = [space.suggest(learner(state, seed)) for seed in range(20)]

    class Copying(optuna.storages.InMemoryStorage):
        def create_new_trial(self, study_id, template_trial=None):
            return super().create_new_trial(study_id, template_trial and copied(template_trial))

    monkeypatch.setattr(optuna.storages, "InMemoryStorage", Copying)
    assert [space.suggest(TpeLearner(space)(state, seed)) for seed in range(20)] == shared


def test_a_proposal_after_many_trials_takes_less_than_one_copy_of_them():
    space = tiny_space(trials=3000)
    draws, events = RandomSuggest(random.Random(0)), []
    for number in range(1, 2001):
        name, values = trial_name(number), space.suggest(draws)
        proposed = Proposed(trial=name, number=number, parameters=values, seed=1, key=name, time="t")
        events += [proposed, end_of(proposed, number)]
    state, proposer = replay(HEADER, events), make_proposer(space)
    plain = [copied(frozen_trial(space, each.proposed.parameters, each.finished)) for each in state.trials]
    proposer.propose(state)
    proposing = min(seconds(lambda: proposer.propose(state)) for _ in range(3))
    assert proposing < min(seconds(lambda: deepcopy(plain)) for _ in range(3))  # a third; more than it before


def seconds(work):
    started = time.process_time()
    work()
    return time.process_time() - started
