"""Population-based training: who copies whom, what a copy is, and a whole sweep that is killed in between."""

import math
import random
from dataclasses import replace

import pytest
import torch

from iafsweep.config import dump_config, get_path
from iafsweep.config.files import build_config, with_values
from iafsweep.errors import ConfigError
from iafsweep.run_files import metrics_file
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.conditions import parse_condition
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import Parameter
from iafsweep.search_space.validation import MUTABLE, check_space
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.schedulers.pbt import Population, copy_run, make_copies, perturbed
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Rung
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.stored_sweep import space_hash
from iafsweep.sweep.tune.driver import LaunchOptions, launch_sweep
from iafsweep.training import RunFolder, Trainer, checkpoint
from tests.sweep.tiny import BASE, RATE, tiny_images, tiny_space

WARMUP = "training.kl_warmup_epochs"
IMAGES = tiny_images()
HEADER = Header(sweep="s", created="t", seed=0, space="x")


def population_space(trials=8, epochs=4, **sweep):
    settings = {"scheduler": "pbt", "sampler": "random", "generation_epochs": 2, "trials": trials, **sweep}
    whole = tiny_space(epochs=epochs, **settings)
    parameters = (Parameter(RATE, FloatRange(1e-4, 1e-1, None, True)), Parameter(WARMUP, IntRange(0, 100)))
    return replace(whole, parameters=parameters)


def members(space, bounds, epoch=2):
    """Rows of members that reached ``epoch`` with these bounds."""
    rows = []
    for number, bound in enumerate(bounds, start=1):
        found = candidate(space, {RATE: number * 1e-3, WARMUP: number})
        name = f"t{number:04d}"
        rows.append(
            Proposed(
                trial=name,
                number=number,
                parameters=dict(found.values),
                seed=found.config.training.seed,
                key=found.key,
                time="t",
            )  # fmt: skip
        )
        if bound is not None:
            rows.append(Rung(trial=name, epoch=epoch, value=bound, time="t"))
    return rows


def test_members_wait_for_each_other():
    space = population_space()
    population = Population(space)
    rows = members(space, [10, 11, 12, 13, 14, 15, 16, None])
    assert population.until(replay(HEADER, rows)) == 2
    assert population.generation(replay(HEADER, rows)) is None
    assert population.until(replay(HEADER, rows[:-1])) == 2  # one is not even proposed
    rows.append(Rung(trial="t0008", epoch=2, value=17, time="t"))
    assert population.until(replay(HEADER, rows)) is None  # to the end of four epochs
    assert Population(population_space(epochs=5)).until(replay(HEADER, rows)) == 4


def test_one_that_failed_is_not_waited_for():
    space = population_space()
    rows = members(space, [10, 11, 12, 13, 14, 15, 16, None])
    end = Finished(trial="t0008", status="diverged", epochs=1, seconds=1.0, gpu_seconds=0.0, time="t")
    state = replay(HEADER, [*rows, end])
    assert Population(space).until(state) is None
    assert len(Population(space).generation(state).exchanges) == 7 // 4


def test_weakest_quarter_copies_the_strongest_quarter():
    space = population_space()
    state = replay(HEADER, members(space, [14, 10, 17, 12, 13, 11, 15, 16]))
    generation = Population(space).generation(state)
    assert [each.trial for each in generation.exchanges] == ["t0008", "t0003"]
    assert {each.donor for each in generation.exchanges} <= {"t0002", "t0006"}
    assert generation == Population(space).generation(state)
    assert generation.epoch == 2

    after = replay(HEADER, [*state.events, generation])
    assert Population(space).generation(after) is None
    member = after.trials[2]
    assert (member.trial, member.proposed.number, member.donors) == ("t0003", 3, (generation.exchanges[1].donor,))
    assert member.proposed.parameters == generation.exchanges[1].parameters
    assert member.proposed.seed != state.trials[2].proposed.seed
    assert len({each.seed for each in generation.exchanges}) == 2
    twice = replay(HEADER, [*state.events, generation, generation])
    assert twice.problems == ("generation row of epoch 2 left out: that generation already has one",)


def test_values_move_by_a_fifth_inside_their_range():
    space = population_space()
    generator = random.Random(0)
    moved = [perturbed(space, {RATE: 1e-2, WARMUP: 50}, generator) for _ in range(400)]
    fifths = [values for values in moved if round(values[RATE], 12) in (0.008, 0.012)]
    assert 250 < len(fifths) < 350  # three in four
    assert {values[WARMUP] for values in moved} >= {40, 60}
    edge = [perturbed(space, {RATE: 1e-1, WARMUP: 0}, generator) for _ in range(100)]
    assert all(1e-4 <= values[RATE] <= 1e-1 and 0 <= values[WARMUP] <= 100 for values in edge)
    assert {1} <= {values[WARMUP] for values in edge}  # a warm-up of none can come back
    choices = replace(space, parameters=(Parameter(RATE, Choice((1e-3, 2e-3, 4e-3))),))
    near = {perturbed(choices, {RATE: 1e-3}, generator)[RATE] for _ in range(100)}
    assert near == {1e-3, 2e-3, 4e-3}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": "tpe"}, "draws its first members at random.*set sampler = 'random'"),
        ({"trials": 3}, "needs at least 4 trials"),
        ({"scheduler": "none"}, "generation_epochs = 2 is for scheduler = 'pbt' alone"),
    ],
)
def test_settings_that_make_no_population(change, message):
    with pytest.raises(ValueError, match=message):
        population_space(**change)


def test_rules_on_the_space_of_a_population():
    check_space(population_space())
    with pytest.raises(ConfigError, match=r"`model.flow.depth`: with sweep.scheduler = 'pbt' values.*asha"):
        check_space(tiny_space(scheduler="pbt", sampler="random"))
    with pytest.raises(ConfigError, match=r"generation_epochs < training.epochs must hold.*got 4 and 4"):
        check_space(population_space(generation_epochs=4))
    few = replace(population_space(), parameters=(Parameter(RATE, Choice((1e-3, 2e-3))),))
    with pytest.raises(ConfigError, match="holds 2 configurations, fewer than the 8 members"):
        check_space(few)
    assert space_hash(population_space()) != space_hash(population_space(generation_epochs=1))
    impatient = BASE.training.model_copy(update={"epochs": 4, "early_stopping_epochs": 2})
    space = population_space()
    with pytest.raises(ConfigError, match=r"early_stopping_epochs ends members before others.*leave it unset"):
        check_space(replace(space, base=space.base.model_copy(update={"training": impatient})))


CHANGES = {
    RATE: 5e-3,
    "training.learning_rate_schedule": "cosine",
    "training.learning_rate_decay": 0.25,
    "training.learning_rate_decay_epochs": 3,
    "training.learning_rate_warmup_epochs": 3,
    WARMUP: 4,
    "training.free_bits": 9.0,
    "training.objective": "iwae",
    "training.objective_samples": 3,
    "training.objective_from_epoch": 3,
    "training.batch_size": 40,
    "training.weight_decay": 0.5,
    "training.gradient_clip": 1.0,
    "training.weight_average": 0.5,
    "training.weight_average_images": 200,
    "model.batch_norm_momentum": 0.25,
    "model.encoder.dropout": 0.5,
    "model.decoder.dropout": 0.5,
}
CHANGED = build_config(
    with_values(
        BASE.model_dump(),
        {
            "training.optimiser": "adamw",
            "training.learning_rate_decay_epochs": 1,
            "training.objective_samples": 2,
            "training.weight_average": 0.9,
            "training.weight_average_images": 100,
        },
    ),
    "test",
)
OTHERS = {
    path: build_config(with_values(CHANGED.model_dump(), changes), "test")
    for path, changes in {
        "training.learning_rate_end": {"training.learning_rate_schedule": "cosine"},
        "model.batch_norm_momentum": {"training.weight_average": 0.0},
    }.items()
}
"""What is needed for these to matter."""


def after_a_copy(donor, member, base, path, value):
    """Weights and averages, of the model and of the one that is scored, an epoch behind a copy with another value."""
    other = build_config(with_values(base.model_dump(), {path: value}), "test")
    copy_run(donor, member, other)
    trainer = Trainer.resume(other, IMAGES, member, torch.device("cpu"))
    metrics = trainer.run_epoch()
    trainer.close()
    assert metrics.epoch == 2
    states = [
        each.float().sum().item() for model in (trainer.model, trainer.scored) for each in model.state_dict().values()
    ]
    return [*states, metrics.train_loss]


def begun(folder, base):
    trainer = Trainer.start(base, IMAGES, folder, torch.device("cpu"))
    trainer.run_epoch()
    trainer.finish()
    return folder


@pytest.mark.slow
def test_what_may_change_while_a_model_trains_may_be_searched(tmp_path):
    """Each of them, in a copy, is what the epochs after it are trained with, the same each time."""
    assert {*CHANGES, "training.learning_rate_end"} == set(MUTABLE)
    rate = Parameter(RATE, FloatRange(1e-4, 1e-1, None, True))
    for path, value in [*CHANGES.items(), ("training.learning_rate_end", 0.5)]:
        base = OTHERS.get(path, CHANGED)
        before = "unset" if get_path(base, path) is None else get_path(base, path)
        other = () if path == RATE else (Parameter(path, Choice((before, value))),)
        check_space(replace(population_space(), base=base, parameters=(rate, *other)))
    donor, member = begun(RunFolder(tmp_path / "donor"), CHANGED), RunFolder(tmp_path / "member")
    seen = [after_a_copy(donor, member, CHANGED, *change) for change in [("title", "as it was"), *CHANGES.items()]]
    for (path, _), one in zip(CHANGES.items(), seen[1:], strict=True):
        assert sum(one == other for other in seen) == 1, path
    last = list(CHANGES.items())[-1]
    assert after_a_copy(donor, member, CHANGED, *last) == seen[-1]
    for number, (path, (old, new)) in enumerate(
        {"training.learning_rate_end": (0.0, 0.5), "model.batch_norm_momentum": (0.5, 0.25)}.items()
    ):
        donor = begun(RunFolder(tmp_path / str(number)), OTHERS[path])
        one, other = (after_a_copy(donor, member, OTHERS[path], path, value) for value in (old, new))
        assert one != other, path


@pytest.mark.parametrize(
    ("path", "values", "reason"),
    [
        ("training.optimiser", ("adamw", "adamax"), "the moments of one optimiser.*search training.weight_decay"),
        ("training.precision", ("float32", "bfloat16"), "a run that goes on computes as it began"),
        ("training.epochs", (4, 5), "compared at the same epochs and end together"),
        ("training.early_stopping_epochs", (1, 2), "compared at the same epochs and end together"),
        ("model.flow.gated", (True, False), "weights take their shape or their meaning from it"),
        ("model.posterior_offset", (-3.0, -1.0), "weights take their shape or their meaning from it"),
        ("training.weight_average", (0.0, 0.9), "one that was trained at 0 has no averaged weights.*take 0 out"),
    ],
)
def test_what_cannot_change_while_a_model_trains_says_why(path, values, reason):
    with pytest.raises(ConfigError, match=f"`{path}`: with sweep.scheduler = 'pbt' .*{reason}"):
        check_space(replace(population_space(), parameters=(Parameter(path, Choice(values)),)))


RANGES = [
    FloatRange(0.0, 0.5),
    FloatRange(1e-4, 1e-1, None, True),
    FloatRange(0.25, 1.0, 0.25),
    IntRange(0, 400, 10),
    IntRange(1, 64, 1, True),
    IntRange(3, 3),
    Choice((25, 50, 100)),
    Choice(("elbo", "iwae")),
    Choice(("unset", 1.0, 5.0)),
]


@pytest.mark.parametrize("searched", RANGES, ids=str)
def test_a_moved_value_is_one_of_its_range_near_where_it_was(searched):
    space = replace(population_space(), parameters=(Parameter("training.weight_average", searched),))
    draws = random.Random(1)
    near = 0
    for seed in range(300):
        path = space.parameters[0].path
        before = space.suggest(RandomSuggest(draws))[path]
        after = perturbed(space, {path: before}, random.Random(seed))[path]
        assert after == perturbed(space, {path: before}, random.Random(seed))[path]
        assert searched.canonical(after) == after
        assert type(after) is type(searched.canonical(after))
        if isinstance(searched, Choice):
            near += abs(searched.options.index(after) - searched.options.index(before)) <= 1
        else:
            assert isinstance(after, int) == isinstance(searched, IntRange)
            step = max(abs(before) / 5, searched.step or 0)
            near += abs(after - before) <= step + (searched.step or 0) / 2 + 1e-12
    assert near >= 0.7 * 300  # one in four is drawn anew


def test_what_becomes_active_is_drawn_and_what_rules_forbid_is_moved_again():
    """A copy of an ELBO may go on with IWAE, which needs two samples, and free bits, which only the ELBO has."""
    objective, samples, bits = "training.objective", "training.objective_samples", "training.free_bits"
    whole = replace(
        population_space(),
        parameters=(
            Parameter(objective, Choice(("elbo", "iwae"))),
            Parameter(samples, IntRange(2, 4), parse_condition(f"{objective} == 'iwae'")),
        ),
    )
    check_space(replace(whole, sweep=whole.sweep.model_copy(update={"trials": 4})))
    draws = random.Random(0)
    found = [perturbed(whole, {objective: "elbo"}, draws) for _ in range(100)]
    assert {each.get(samples) for each in found} == {None, 2, 3, 4}
    assert all((samples in each) == (each[objective] == "iwae") for each in found)

    forbidden = replace(
        whole, parameters=(Parameter(objective, Choice(("elbo", "stl", "iwae"))), Parameter(bits, FloatRange(0.1, 9.0)))
    )
    rows = []
    for number, bound in enumerate([1, 2, 3, 4], start=1):
        name, values = f"t{number:04d}", {objective: "elbo", bits: float(number)}
        rows.append(Proposed(trial=name, number=number, parameters=values, seed=number, key=name, time="t"))
        rows.append(Rung(trial=name, epoch=2, value=bound, time="t"))
    space = replace(forbidden, sweep=forbidden.sweep.model_copy(update={"trials": 4}))
    for seed in range(20):
        drawn = replace(space, sweep=space.sweep.model_copy(update={"seed": seed}))
        (exchange,) = Population(drawn).generation(replay(HEADER, rows)).exchanges
        assert candidate(drawn, exchange.parameters, repeat=exchange.repeat).key == exchange.key


@pytest.mark.slow
def test_a_population_changes_objective_samples_and_batches_as_it_trains(ray_cluster, tmp_path):
    space = replace(
        population_space(trials=4, epochs=4, max_concurrent=1, seed=3),
        parameters=(
            Parameter("training.objective", Choice(("elbo", "iwae"))),
            Parameter("training.objective_samples", IntRange(2, 4)),
            Parameter("training.batch_size", Choice((30, 40, 60))),
        ),
    )
    check_space(space)
    folder, heard = SweepFolder(tmp_path / "sweep"), []

    class Hears(SweepCallback):
        def message(self, text):
            heard.append(text)

    outcome = launch_sweep(space, folder, IMAGES, LaunchOptions(node=Node("this machine", 2, 0)), Hears())
    assert outcome.status == "completed"
    (exchange,) = outcome.state.generations[2].exchanges
    changed = outcome.state.named[exchange.trial].proposed
    drawn = [each for each in outcome.state.events if isinstance(each, Proposed)]
    (first,) = (each for each in drawn if each.trial == exchange.trial)
    assert changed.parameters == exchange.parameters != first.parameters
    run = RunFolder(folder.trial(exchange.trial))
    config = run.read_config()
    assert {path: get_path(config, path) for path in exchange.parameters} == exchange.parameters
    assert config.training.seed == exchange.seed
    assert checkpoint.load_last(run, torch.device("cpu")).config == dump_config(config)
    assert [each.epoch for each in metrics_file.read(run.metrics)] == [1, 2, 3, 4]
    said = f"{exchange.trial} continues from a copy of {exchange.donor} with objective = {config.training.objective}, "
    assert any(each.startswith(said) for each in heard)


def test_a_copy_goes_on_as_its_donor_would_with_other_values(tmp_path):
    config = BASE.model_copy(update={"training": BASE.training.model_copy(update={"epochs": 3})})
    donor, member = RunFolder(tmp_path / "donor"), RunFolder(tmp_path / "member")
    for folder in (donor, member):
        trainer = Trainer.start(config, IMAGES, folder, torch.device("cpu"))
        trainer.run_epoch()
        trainer.run_epoch()
        trainer.save()
        trainer.close()
    other = config.model_copy(
        update={"training": config.training.model_copy(update={"learning_rate": 5e-3, "seed": 9})}
    )
    for left in (".member.new", ".member.gone"):  # of a copy that was killed
        (tmp_path / left).mkdir()
    copy_run(donor, member, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["donor", "member"]
    assert member.read_config() == other
    before, after = (checkpoint.load_last(each, torch.device("cpu")) for each in (donor, member))
    assert after.config == dump_config(other)
    assert all(torch.equal(before.model[name], after.model[name]) for name in before.model)
    assert member.metrics.read_text() == donor.metrics.read_text()
    trainer = Trainer.resume(other, IMAGES, member, torch.device("cpu"))
    metrics = trainer.run_epoch()
    trainer.finish()
    assert (metrics.epoch, metrics.learning_rate) == (3, 5e-3)


class Killed(BaseException):
    """Stands for a kill of the driver."""


class KillsAfterTheFirstCopy(SweepCallback):
    def message(self, text):
        if "continues from a copy" in text:
            raise Killed


@pytest.mark.slow
def test_a_population_under_ray_survives_a_kill_between_decision_and_end(ray_cluster, tmp_path):
    """Killed after its exchange was decided, the sweep ends as one left alone does, to the last digit."""
    space = population_space(trials=4, epochs=4, max_concurrent=1)
    options = LaunchOptions(node=Node("this machine", 2, 0))
    whole = launch_sweep(space, SweepFolder(tmp_path / "whole"), IMAGES, options, SweepCallback())
    assert whole.status == "completed"
    (generation,) = whole.state.generations.values()
    (exchange,) = generation.exchanges
    copied = next(trial for trial in whole.state.trials if trial.trial == exchange.trial)
    assert copied.finished.status == "completed"
    assert copied.donors == (exchange.donor,)
    run = RunFolder(SweepFolder(tmp_path / "whole").trial(exchange.trial))
    assert run.read_config().training.learning_rate == exchange.parameters[RATE]

    rows = whole.state.events
    for end in range(len(rows)):  # killed after any row, it decides the same
        decided = Population(space).generation(replay(whole.state.header, rows[:end]))
        assert (decided is not None) == (rows[end] == generation)
        assert decided is None or decided.exchanges == generation.exchanges

    folder = SweepFolder(tmp_path / "killed")
    with pytest.raises(Killed):
        launch_sweep(space, folder, IMAGES, options, KillsAfterTheFirstCopy())
    assert all(trial.finished is None for trial in read_ledger(folder.ledger).trials)
    resumed = launch_sweep(space, folder, IMAGES, options, SweepCallback())

    def figures(state):
        return [(trial.trial, trial.proposed.parameters, trial.finished.best_value) for trial in state.trials]

    assert figures(resumed.state) == figures(whole.state)
    assert all(math.isfinite(value) for _, _, value in figures(whole.state))


def test_copies_that_a_killed_driver_did_not_make_are_made(tmp_path):
    space = population_space(trials=4)
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    rows = members(space, [1, 2, 3, 4])
    for row in rows:
        if isinstance(row, Proposed):
            config = candidate(space, row.parameters).config
            trainer = Trainer.start(config, IMAGES, RunFolder(folder.trial(row.trial)), torch.device("cpu"))
            trainer.run_epoch()
            trainer.finish()
    with Ledger.create(folder.ledger, HEADER) as ledger:
        for row in rows:
            ledger.append(row)
        generation = Population(space).generation(ledger.state)
        ledger.append(generation.model_copy(update={"time": "t"}))
        assert len(make_copies(space, folder, ledger.state)) == 1
        assert make_copies(space, folder, ledger.state) == ()
    assert read_ledger(folder.ledger).generations.keys() == {2}
