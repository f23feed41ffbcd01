"""The rules that a search space must meet before anything starts."""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from iafsweep.config import RunConfig
from iafsweep.config.problems import nearest
from iafsweep.errors import ConfigError
from iafsweep.search_space.candidate import configuration_key
from iafsweep.search_space.distributions import Choice, Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import Parameter, SearchSpace

_CHECKED = 4096

_NOT_SEARCHED = {
    "title": "it changes nothing",
    "data.": "trials must share their images, or their bounds cannot be compared",
    "evaluation.": "trials must be scored alike, or their figures cannot be compared",
    "training.seed": "each trial gets a seed of its own from sweep.seed",
    "training.checkpoint_every_epochs": "it changes nothing that is measured",
    "training.checkpoint_every_minutes": "it changes nothing that is measured",
    "training.compile": "it changes nothing that is measured",
}

MUTABLE = (
    "training.learning_rate",
    "training.learning_rate_schedule",
    "training.learning_rate_decay",
    "training.learning_rate_decay_epochs",
    "training.learning_rate_end",
    "training.learning_rate_warmup_epochs",
    "training.kl_warmup_epochs",
    "training.free_bits",
    "training.objective",
    "training.objective_samples",
    "training.objective_from_epoch",
    "training.batch_size",
    "training.weight_decay",
    "training.gradient_clip",
    "training.weight_average",
    "training.weight_average_images",
    "model.batch_norm_momentum",
    "model.encoder.dropout",
    "model.decoder.dropout",
)
"""Fields that may change while a model trains: no weight, moment or average takes its shape or meaning from them.

Epochs after a change are trained as if the recipe had been the new one from the beginning: at epoch e of a schedule or
a warm-up, the rate is that of the new one at e, and earlier steps are counted in the new batches.
"""

_FIXED_WHILE_TRAINING = {
    "training.optimiser": "the moments of one optimiser are not those of another (adamw with a weight_decay of 0 is "
    "adam: search training.weight_decay)",
    "training.precision": "a run that goes on computes as it began",
    "training.epochs": "members are compared at the same epochs and end together",
    "training.early_stopping_epochs": "members are compared at the same epochs and end together",
    "model.": "weights take their shape or their meaning from it",
}


def check_space(space: SearchSpace) -> None:
    """Check every rule on a search space, with all of its combinations if they are at most 4096, else with a selection.

    Raises:
        ConfigError: a rule is broken; the message names the parameters, what was found and what to do.
    """
    for parameter in space.parameters:
        if reason := why_not_searched(parameter.path):
            raise ConfigError(f"[search] `{parameter.path}` cannot be searched: {reason}; put it in [fixed]")
    if space.sweep.sampler != "listed":  # else nothing is chosen
        check_selection(space.base)
    check_scheduler(space)
    if space.sweep.sampler == "grid":
        space.grid()
    if space.sweep.sampler == "cmaes":
        space.numbers()
    combinations = list(_combinations(space))
    _check_combinations(space, combinations)
    _check_every_parameter_matters(space, combinations)


def why_not_searched(path: str) -> str:
    """Return why a field must be the same in all trials; empty if it may differ."""
    return _first_reason(_NOT_SEARCHED, path)


def _first_reason(reasons: Mapping[str, str], path: str) -> str:
    return next((reason for beginning, reason in reasons.items() if path.startswith(beginning)), "")


def check_selection(base: RunConfig) -> None:
    """Check that validation images can choose among trials.

    Raises:
        ConfigError: there are no validation images, or the best epoch is not the one that is scored.
    """
    if base.data.validation_images == 0:
        raise ConfigError(
            "a sweep chooses by validation images, but data.validation_images = 0; hold some out, "
            "for example 5000 of `mnist`"
        )
    if base.evaluation.checkpoint != "best":
        raise ConfigError(
            "a sweep scores each trial's best epoch, but evaluation.checkpoint = 'last'; set it to 'best'"
        )


def check_scheduler(space: SearchSpace) -> None:
    """Check that the scheduler can compare the trials of a space.

    Raises:
        ConfigError: trials are too short for its rungs, or would change what cannot change in a population.
    """
    if space.sweep.scheduler == "none":
        return
    if space.sweep.scheduler == "pbt":
        _check_population(space)
        return
    warmup, grace, epochs = space.longest_warmup, space.grace_epochs, space.fewest_epochs
    if not warmup < grace < epochs:
        origin = " (the default)" if space.sweep.grace_epochs is None else ""
        raise ConfigError(
            f"longest training.kl_warmup_epochs < sweep.grace_epochs < fewest training.epochs must hold with a "
            f"scheduler, got {warmup} < {grace}{origin} < {epochs}: trials are compared after their warm-up and before "
            f"their end; shorten the warm-up, train longer, or set sweep.scheduler = 'none'"
        )


def _check_population(space: SearchSpace) -> None:
    if space.base.training.early_stopping_epochs is not None:
        raise ConfigError(
            "training.early_stopping_epochs ends members before others, and with sweep.scheduler = 'pbt' all train to "
            "the end of a generation; leave it unset, or take 'asha'"
        )
    for parameter in space.parameters:
        if parameter.path not in MUTABLE:
            reason = _first_reason(_FIXED_WHILE_TRAINING, parameter.path)
            raise ConfigError(
                f"[search] `{parameter.path}`: with sweep.scheduler = 'pbt' values change while a model trains, and "
                f"this one cannot: {reason}; put it in [fixed], or take 'asha'"
            )
        _check_average(space, parameter)
    if space.size is not None and space.size < space.sweep.trials:
        raise ConfigError(
            f"the space holds {space.size} configurations, fewer than the {space.sweep.trials} members that "
            f"sweep.trials asks for with scheduler = 'pbt'; widen a range or lower trials"
        )
    if space.generation_epochs >= space.fewest_epochs:
        raise ConfigError(
            f"sweep.generation_epochs < training.epochs must hold with scheduler = 'pbt', got "
            f"{space.generation_epochs} and {space.fewest_epochs}: members are compared before their end; shorten the "
            f"generations or train longer"
        )


def _check_average(space: SearchSpace, parameter: Parameter) -> None:
    """Refuse averaged weights that begin in the middle of training: a copy of a member without them has none."""
    if parameter.path != "training.weight_average":
        return
    values = {*parameter.range.extremes, *([space.base.training.weight_average] if parameter.when else [])}
    if 0 in values and len(values) > 1:
        raise ConfigError(
            "[search] `training.weight_average`: with sweep.scheduler = 'pbt' a member may go on from a copy of "
            "another, and one that was trained at 0 has no averaged weights to go on with; take 0 out of the range"
            + ("" if parameter.when is None else ", and put another value than 0 in [fixed] for where it is inactive")
        )


def _combinations(space: SearchSpace) -> Iterator[dict[str, Scalar]]:
    """Yield the values to check: the whole grid; if too large, the grid of the ranges' ends; else draws from that."""
    corners = replace(space, parameters=tuple(_corners(space, parameter) for parameter in space.parameters))
    for candidate in (space, corners):
        if candidate.size is not None and candidate.size <= _CHECKED:
            yield from candidate.grid()
            return
    generator = random.Random(0)
    source = RandomSuggest(generator)
    for parameter in corners.parameters:
        for value in parameter.range:
            for _ in range(50):  # until the parameter is active; its condition may be rare
                values = corners.active(corners.suggest(source) | {parameter.path: value})
                if parameter.path in values:
                    yield values
                    break
    for _ in range(_CHECKED):
        yield corners.suggest(source)


def _corners(space: SearchSpace, parameter: Parameter) -> Parameter:
    """Return the parameter with only the ends of its range and the values around which a condition changes."""
    if isinstance(parameter.range, Choice):
        return parameter
    conditions = [other.when for other in space.parameters if other.when]
    looked_at = [comparison for condition in conditions for comparison in condition.comparisons]
    literals = [
        literal for comparison in looked_at if comparison.path == parameter.path for literal in comparison.literals
    ]
    values: set[Scalar] = {
        *parameter.range.extremes,
        *(value for literal in literals for value in _around(parameter, literal)),
    }
    in_order: list[Scalar] = sorted(values, key=float)
    return replace(parameter, range=Choice(tuple(in_order)))


def _around(parameter: Parameter, literal: Scalar) -> Iterator[Scalar]:
    """Yield ``literal`` and its neighbours, if they are in the parameter's range of numbers."""
    if isinstance(literal, bool | str) or isinstance(parameter.range, Choice):
        return
    step = parameter.range.step
    if step is None:
        neighbours = [literal, math.nextafter(literal, -math.inf), math.nextafter(literal, math.inf)]
    else:
        neighbours = [literal, literal - step, literal + step]
    for value in neighbours:
        with suppress(ValueError):
            yield parameter.range.canonical(value)


def _check_combinations(space: SearchSpace, combinations: list[dict[str, Scalar]]) -> None:
    problems = [(values, problem) for values in combinations if (problem := _problem(space, values))]
    if problems:
        values, problem = problems[0]
        named = ", ".join(f"{path} = {value!r}" for path, value in _culprits(space, values).items())
        raise ConfigError(
            f"[search] {len(problems):,} of {len(combinations):,} combinations tried are illegal, the first: {named}: "
            f"{problem}; narrow a range, or make a parameter conditional with `when`"
        )


def _problem(space: SearchSpace, values: Mapping[str, Scalar]) -> str | None:
    try:
        space.config(values)
    except ConfigError as error:
        return str(error).removeprefix(f"{space.origin}: ")
    return None


def _culprits(space: SearchSpace, values: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """Return those of the illegal ``values`` that are to blame: another value of the parameter makes them legal."""
    named = {}
    for path, value in values.items():
        others = [other for other in space.parameter(path).range.extremes if other != value]
        if any(_problem(space, {**values, path: other}) is None for other in others):
            named[path] = value
    return named or values


def _check_every_parameter_matters(space: SearchSpace, combinations: list[dict[str, Scalar]]) -> None:
    for parameter in space.parameters:
        others = parameter.range.extremes
        active = [values for values in combinations if parameter.path in values]
        if not active and space.size is not None and space.size <= _CHECKED:
            raise ConfigError(f"[search] `{parameter.path}` is never active: no combination fulfils its `when`")
        if len(others) > 1 and active and not any(_matters(space, parameter, values) for values in active):
            raise ConfigError(
                f"[search] `{parameter.path}` changes nothing in this space, since another setting leaves it unused "
                f"(as flow.depth = 0 does the flow's sizes, and a kind that is never chosen its own); take it out"
            )


def _matters(space: SearchSpace, parameter: Parameter, values: dict[str, Scalar]) -> bool:
    """Whether another value of the parameter turns ``values`` into another configuration."""
    key = configuration_key(space.config(values))
    return any(_key(space, values | {parameter.path: v}) != key for v in parameter.range.extremes)


def _key(space: SearchSpace, values: dict[str, Scalar]) -> str:
    """Return the key of a configuration; empty if it is illegal, as with a base value meant only for inactive ones."""
    try:
        return configuration_key(space.config(values))
    except ConfigError:
        return ""


def check_first_points(space: SearchSpace, points: Sequence[Mapping[str, object]]) -> tuple[dict[str, Scalar], ...]:
    """Return points of ``space`` in canonical form.

    ``points`` are values by dotted path, for exactly the parameters that are active together.

    Raises:
        ConfigError: a name is not a parameter, a value is outside its range, a parameter is missing or inactive, or
            the values together break a rule; the message says in which point.
    """
    return tuple(_check(space, number, point) for number, point in enumerate(points, start=1))


def _check(space: SearchSpace, number: int, point: Mapping[str, object]) -> dict[str, Scalar]:
    try:
        for path in point:
            if path not in (known := [parameter.path for parameter in space.parameters]):
                raise ConfigError(f"`{path}` is not searched: {nearest(path, known)}")
        values = {path: _scalar(path, value) for path, value in point.items()}
        active = space.active(values)
        if inactive := [path for path in values if path not in active]:
            when = space.parameter(inactive[0]).when
            raise ConfigError(f"`{inactive[0]}` does nothing here, it needs {when.text if when else ''}; take it out")
        if missing := space.missing(active):
            raise ConfigError(f"`{missing[0]}` has no value; it is {space.parameter(missing[0]).range}")
        space.config(active)
    except ConfigError as error:
        raise ConfigError(f"[[sweep.try]] number {number}: {error}") from None
    return active


def _scalar(path: str, value: object) -> Scalar:
    if isinstance(value, list | tuple):
        return json.dumps(list(value))  # as a choice among lists writes its options
    if not isinstance(value, bool | int | float | str):
        raise ConfigError(f"`{path}` must be one value, found {value!r}")
    return value
