"""A search space: fixed values, typed ranges, and the conditions under which a range matters."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from iafsweep.config import HEADS, RunConfig, get_path
from iafsweep.config.files import build_config, with_values
from iafsweep.config.problems import UNSET, nearest
from iafsweep.config.sweep import NEW_SWEEPS, Procedure, SweepConfig
from iafsweep.errors import ConfigError
from iafsweep.search_space.conditions import Condition
from iafsweep.search_space.distributions import Choice, ConfigValue, FloatRange, IntRange, Range, Scalar
from iafsweep.search_space.sampling import Suggest

_COUNTABLE = 100_000


@dataclass(frozen=True)
class Parameter:
    """One searched field.

    ``when`` is the condition under which it matters; None if it always does.
    """

    path: str
    range: Range
    when: Condition | None = None


@dataclass(frozen=True)
class SearchSpace:
    """What a sweep searches. :func:`iafsweep.search_space.files.load_space` reads and checks one.

    *Values* are a dict from the dotted paths of parameters to scalars, as samplers propose and ledgers keep them.
    Parameters are processed in the order of their definition. A parameter is *active* when its condition holds for the
    values before it. A condition on an inactive parameter sees the field's base value, as the configuration does.

    Attributes:
        base: the configuration that gives the values of fields that are not searched or whose parameters are inactive.
        fixed_paths: fields in which the space file (or the command line) overrides the base file.
        first: values to try before the sampler proposes any.
        parameters: the searched fields, in order.
        sweep: how the space is searched.
        procedure: the details of the search, as of when the sweep began.

    Raises:
        ConfigError: there are no parameters, one is defined twice, or a condition looks at its own parameter or a later
            one.
    """

    base: RunConfig
    parameters: tuple[Parameter, ...]
    sweep: SweepConfig = SweepConfig()
    fixed_paths: tuple[str, ...] = ()
    first: tuple[Mapping[str, Scalar], ...] = ()
    procedure: Procedure = NEW_SWEEPS

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ConfigError("a search space needs at least one parameter in [search]")
        for index, parameter in enumerate(self.parameters):
            if parameter.path in (other.path for other in self.parameters[:index]):
                raise ConfigError(f"[search] `{parameter.path}` is defined twice")
            self._check_condition(parameter, [later.path for later in self.parameters[index:]])

    @property
    def title(self) -> str:
        """The question that the space asks."""
        return self.base.title

    @property
    def fixed(self) -> dict[str, ConfigValue]:
        """The values of the fixed fields, for display."""
        return {path: self._base_value(path) for path in self.fixed_paths}

    @property
    def origin(self) -> str:
        """The beginning of error messages about a configuration."""
        return f"a configuration of `{self.title}`" if self.title else "a configuration of the space"

    def config(self, values: Mapping[str, Scalar]) -> RunConfig:
        """Return the configuration of ``values``: inactive ones are dropped, missing ones take the base's value.

        Raises:
            ConfigError: a name is not a parameter, a value is outside its range, or together they break a rule.
        """
        changes = {path: self.parameter(path).range.resolve(value) for path, value in self.active(values).items()}
        return build_config(with_values(self._base_values, changes), self.origin)

    def active(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the values of active parameters, in order of definition and in canonical form (floats on their steps).

        Raises:
            ConfigError: a name is not a parameter, or a value is outside its range.
        """
        for path in values:
            self.parameter(path)
        return self._walk(lambda parameter: values.get(parameter.path))

    def is_autoregressive(self, values: Mapping[str, Scalar]) -> bool:
        """Whether the decoder of a trial with these values is autoregressive."""
        return bool(values.get(HEADS.path, get_path(self.base, HEADS.path)) != "off")

    def missing(self, values: Mapping[str, Scalar]) -> list[str]:
        """Return the paths of the parameters that are active with ``values`` but have no value."""
        return [each.path for each in self.parameters if each.path not in values and self._is_active(each, values)]

    def suggest(self, source: Suggest) -> dict[str, Scalar]:
        """Ask ``source`` for a value of each active parameter, in order, and return them."""
        return self._walk(lambda parameter: draw(source, parameter))

    def grid(self) -> Iterator[dict[str, Scalar]]:
        """Return the values of every configuration once: the Cartesian product, the last parameter varying fastest.

        Raises:
            ConfigError: a float range has no step, so the set is not finite.
        """
        for parameter in self.parameters:
            if parameter.range.size is None:
                raise ConfigError(
                    f"grid needs a finite space, but `{parameter.path}` is any number {parameter.range}; "
                    f"give it `step`, or make it a `choice`"
                )
        return self._expand(0, {})

    def numbers(self) -> tuple[Parameter, ...]:
        """Return the searched numbers that are always active and have more than one value.

        Raises:
            ConfigError: there are none, so `cmaes` has nothing to adapt.
        """
        numbers = (each for each in self.parameters if not isinstance(each.range, Choice) and each.when is None)
        if not (found := tuple(each for each in numbers if each.range.size != 1)):
            raise ConfigError(
                "cmaes needs an `int` or `float` range without `when` in [search], and there is none; take 'tpe', or "
                "make a `choice` of numbers a range"
            )
        return found

    @cached_property
    def size(self) -> int | None:
        """Number of configurations in the grid; None if there are infinitely many, or too many to count."""
        referenced = {path for parameter in self.parameters if parameter.when for path in parameter.when.paths}
        sizes = {parameter.path: parameter.range.size for parameter in self.parameters}
        if any(size is None for size in sizes.values()):
            return None
        if math.prod(size or 0 for path, size in sizes.items() if path in referenced) > _COUNTABLE:
            return None
        return self._count(0, {}, referenced)

    def parameter(self, path: str) -> Parameter:
        """Return the parameter of a dotted path.

        Raises:
            ConfigError: there is no such parameter.
        """
        for parameter in self.parameters:
            if parameter.path == path:
                return parameter
        known = [parameter.path for parameter in self.parameters]
        raise ConfigError(f"`{path}` is not a parameter of this search space: {nearest(path, known)}")

    @property
    def longest_warmup(self) -> int:
        """The longest KL warm-up of any configuration, in epochs."""
        return max(self._whole_numbers("training.kl_warmup_epochs"))

    @property
    def fewest_epochs(self) -> int:
        """The fewest training epochs of any configuration."""
        return min(self._whole_numbers("training.epochs"))

    @property
    def most_epochs(self) -> int:
        """The most training epochs of any configuration."""
        return max(self._whole_numbers("training.epochs"))

    @property
    def grace_epochs(self) -> int:
        """Epochs before which the scheduler stops no trial; resolves the default of ``sweep.grace_epochs``."""
        if self.sweep.grace_epochs is not None:
            return self.sweep.grace_epochs
        return max(self.longest_warmup + 1, self.fewest_epochs // self.sweep.reduction_factor**2)

    @property
    def generation_epochs(self) -> int:
        """Epochs between two exchanges of a population; resolves the default of ``sweep.generation_epochs``."""
        return self.sweep.generation_epochs or max(1, self.most_epochs // self.procedure.generations)

    @cached_property
    def _base_values(self) -> dict[str, Any]:
        return self.base.model_dump()

    def _whole_numbers(self, path: str) -> list[int]:
        """Return the smallest and the largest value of a whole-number field over the space."""
        found: list[object] = [get_path(self.base, path)]
        for parameter in self.parameters:
            if parameter.path == path:
                found = [*parameter.range.extremes, *(found if parameter.when else [])]
        return [value for value in found if isinstance(value, int)]

    def _is_active(self, parameter: Parameter, active: Mapping[str, Scalar]) -> bool:
        def lookup(path: str) -> object:
            return active[path] if path in active else self._base_value(path)

        return parameter.when is None or parameter.when.holds(lookup)

    def _walk(self, pick: Callable[[Parameter], Scalar | None]) -> dict[str, Scalar]:
        active: dict[str, Scalar] = {}
        for parameter in self.parameters:
            if self._is_active(parameter, active) and (value := pick(parameter)) is not None:
                try:
                    active[parameter.path] = parameter.range.canonical(value)
                except ValueError as error:
                    raise ConfigError(f"`{parameter.path}`: {error}") from None
        return active

    def _expand(self, index: int, values: dict[str, Scalar]) -> Iterator[dict[str, Scalar]]:
        if index == len(self.parameters):
            yield dict(values)
        elif self._is_active(parameter := self.parameters[index], values):
            for value in parameter.range:
                yield from self._expand(index + 1, values | {parameter.path: value})
        else:
            yield from self._expand(index + 1, values)

    def _count(self, index: int, values: dict[str, Scalar], referenced: set[str]) -> int:
        """Return the size of the grid from parameter ``index`` on, listing only parameters that conditions look at."""
        if index == len(self.parameters):
            return 1
        parameter = self.parameters[index]
        if not self._is_active(parameter, values):
            return self._count(index + 1, values, referenced)
        if parameter.path in referenced:
            return sum(self._count(index + 1, values | {parameter.path: v}, referenced) for v in parameter.range)
        return (parameter.range.size or 0) * self._count(index + 1, values, referenced)

    def _check_condition(self, parameter: Parameter, itself_and_later: list[str]) -> None:
        for comparison in parameter.when.comparisons if parameter.when else ():
            if comparison.path in itself_and_later:
                problem = f"`{comparison.path}` must be defined above `{parameter.path}` to be used in its condition"
            elif isinstance(found := self._example(comparison.path), tuple):
                problem = f"`{comparison.path}` is a list, {found}; compare a field that is not"
            elif found is not None and any(
                _kind(found) != _kind(literal) and literal != UNSET for literal in comparison.literals
            ):
                problem = f"`{comparison.path}` is a {_kind(found)} such as {found!r}; compare it with one of that kind"
            else:
                continue
            assert parameter.when is not None
            raise ConfigError(f"[search] `{parameter.path}`: {parameter.when.error(problem, comparison.column)}")

    def _example(self, path: str) -> object:
        for parameter in self.parameters:
            if parameter.path == path:
                examples = [value for value in parameter.range.extremes if value != UNSET]
                return parameter.range.resolve(examples[0]) if examples else None
        return get_path(self.base, path)

    def _base_value(self, path: str) -> ConfigValue:
        """Return the base's value of a field; no value is ``"unset"``, as a choice or a ``when`` writes it."""
        value: ConfigValue | None = get_path(self.base, path)
        return UNSET if value is None else value


def _kind(value: object) -> str:
    """Return the kind of a scalar in words."""
    if isinstance(value, bool):
        return "true or false"
    return "number" if isinstance(value, int | float) else "text"


def draw(source: Suggest, parameter: Parameter) -> Scalar:
    """Ask ``source`` for a value of a parameter."""
    match parameter.range:
        case Choice() as choice:
            return source.choice(parameter.path, choice.options)
        case IntRange(low, high, step, log):
            return source.integer(parameter.path, low, high, step=step, log=log)
        case FloatRange(low, high, step, log):
            return source.real(parameter.path, low, high, step=step, log=log)
