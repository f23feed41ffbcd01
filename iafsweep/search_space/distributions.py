"""Typed ranges of search spaces: choices among values, whole numbers, real numbers."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from iafsweep.config.sweep import NEW_SWEEPS

Scalar: TypeAlias = bool | int | float | str
"""A value as a sampler proposes it, a ledger keeps it and a table shows it."""

ConfigValue: TypeAlias = Scalar | tuple[int | float | str | bool, ...]
"""The value of a configuration field: a scalar, or a list such as the hidden sizes of an ``mlp``."""

_TOLERANCE = 1e-9

_FINEST = 1e-7
"""Smallest step, as a share of the larger end: Optuna accepts a value only if it is within 1e-8 of a step."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


@dataclass(frozen=True)
class Choice:
    """One of several values, without an order.

    Attributes:
        values: the values that the configuration gets; lists (as tuples) are allowed.

    Raises:
        ValueError: there are no values, a value occurs twice, or one is not a text, number, true, false or list of
            these.
    """

    values: tuple[ConfigValue, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a choice needs at least one value, got []")
        for value in self.values:
            for part in value if isinstance(value, tuple) else (value,):
                if not (isinstance(part, str | bool) or _is_number(part)):
                    raise ValueError(
                        f"a choice holds texts, finite numbers, true, false or lists of them, got {part!r}"
                    )
        seen: set[Scalar] = set()
        for option in self.options:
            if option in seen:
                raise ValueError(f"a choice names each value once, got {option!r} twice")
            seen.add(option)

    def __str__(self) -> str:
        return "one of " + ", ".join(str(option) for option in self.options)

    @property
    def options(self) -> tuple[Scalar, ...]:
        """The values as samplers see them. A list becomes text, such as ``"[300, 300]"``."""
        return tuple(json.dumps(value) if isinstance(value, tuple) else value for value in self.values)

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self.values)

    @property
    def extremes(self) -> tuple[Scalar, ...]:
        """The options that a check of the space tries, which are all of them."""
        return self.options

    def __iter__(self) -> Iterator[Scalar]:
        return iter(self.options)

    def canonical(self, value: object) -> Scalar:
        """Return the option equal to ``value``.

        Raises:
            ValueError: it is not one of the options.
        """
        for option in self.options:
            if option == value and isinstance(option, bool) == isinstance(value, bool):
                return option
        raise ValueError(f"{value!r} is not {self}")

    def resolve(self, option: Scalar) -> ConfigValue:
        """Return the value that the configuration gets for an option."""
        return self.values[self.options.index(option)]


@dataclass(frozen=True)
class IntRange:
    """Whole numbers low, low + step, ..., high, both ends included.

    With ``log``, samplers draw uniformly in the logarithm; the step must then be 1.

    Raises:
        ValueError: an end is not a whole number, low > high, the step does not lead to high, or ``log`` does not fit.
    """

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        for name, value in {"low": self.low, "high": self.high, "step": self.step}.items():
            if not isinstance(value, int) or not _is_number(value):
                raise ValueError(f"an int range needs whole numbers, got {name} = {value!r}")
        _check_order(self.low, self.high)
        if self.step < 1:
            raise ValueError(f"`step >= 1` must hold, got step = {self.step}")
        if (self.high - self.low) % self.step:
            last = self.high - (self.high - self.low) % self.step
            raise ValueError(
                f"steps of {self.step} from {self.low} end at {last}, not at high = {self.high}; write {last}"
            )
        if self.log and self.step != 1:
            raise ValueError(f"`log` and `step` exclude each other, got step = {self.step} with log = true")
        if self.log and self.low < 1:
            raise ValueError(f"`low >= 1` must hold for log = true, got low = {self.low}")

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + (f" in steps of {self.step}" if self.step > 1 else "") + _log(self.log)

    @property
    def size(self) -> int:
        """Number of values."""
        return (self.high - self.low) // self.step + 1

    @property
    def extremes(self) -> tuple[Scalar, ...]:
        """Both ends."""
        return (self.low,) if self.low == self.high else (self.low, self.high)

    def __iter__(self) -> Iterator[Scalar]:
        return iter(range(self.low, self.high + 1, self.step))

    def canonical(self, value: object) -> Scalar:
        """Return ``value`` as an int.

        Raises:
            ValueError: it is not in the range.
        """
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise ValueError(f"{value!r} is not a whole number from {self}")
        if (value - self.low) % self.step:
            raise ValueError(f"{value!r} is not one of the steps from {self}")
        return value

    def resolve(self, option: Scalar) -> ConfigValue:
        """Return the value that the configuration gets, the number itself."""
        return option


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from low to high, both included; with a step, the finite set low, low + step, ..., high.

    With ``log``, samplers draw uniformly in the logarithm; there must then be no step. ``digits`` is the number of
    significant digits to which the values of a range with a step are rounded; None: they are low + k step, computed
    exactly in decimal.

    Raises:
        ValueError: an end is not a finite number, low > high, the step is too fine or misses high, or ``log`` does not
            fit.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    digits: int | None = field(default=NEW_SWEEPS.grid_digits, repr=False)

    def __post_init__(self) -> None:
        for name, value in {"low": self.low, "high": self.high, "step": self.step}.items():
            if not (_is_number(value) or (name == "step" and value is None)):
                raise ValueError(f"a float range needs finite numbers, got {name} = {value!r}")
        _check_order(self.low, self.high)
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"high - low must be a finite number, got low = {self.low}, high = {self.high}")
        if self.log and self.step is not None:
            raise ValueError(f"`log` and `step` exclude each other, got step = {self.step} with log = true")
        if self.log and self.low <= 0:
            raise ValueError(f"`low > 0` must hold for log = true, got low = {self.low}")
        if self.step is None:
            return
        if self.step <= 0:
            raise ValueError(f"`step > 0` must hold, got step = {self.step}")
        finest = max(_FINEST * max(abs(self.low), abs(self.high)), sys.float_info.min)
        if self.digits is None and self.low < self.high and self.step < finest:
            raise ValueError(
                f"`step >= {finest:.3g}` must hold between {self.low} and {self.high}, got step = {self.step}: closer "
                f"values cannot be distinguished; take a larger step, or leave `step` out"
            )
        steps = self._steps
        last = self._at(math.floor(steps))
        if last != self.high if self.digits is None else abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f"steps of {self.step} from {self.low} end at {last}, not at high = {self.high}; write {last}"
            )

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (f" in steps of {self.step:g}" if self.step else "") + _log(self.log)

    @property
    def size(self) -> int | None:
        """Number of values; None without a step (unless both ends are equal)."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return round(self._steps) + 1

    @property
    def extremes(self) -> tuple[Scalar, ...]:
        """Both ends."""
        ends = float(self.low), float(self.high)
        return ends[:1] if self.low == self.high else ends

    def __iter__(self) -> Iterator[Scalar]:
        """Iterate over the values.

        Raises:
            ValueError: there is no step, so the values cannot be listed.
        """
        if self.size is None:
            raise ValueError(f"the values of a float range without `step` cannot be listed, got {self}")
        return iter([self._at(index) for index in range(self.size)])

    def canonical(self, value: object) -> Scalar:
        """Return ``value`` as a float, moved to the nearest step to undo the rounding errors of samplers.

        Raises:
            ValueError: it is not in the range.
        """
        slack = _TOLERANCE * max(abs(self.low), abs(self.high))
        if not (
            isinstance(value, int | float) and _is_number(value) and self.low - slack <= value <= self.high + slack
        ):
            raise ValueError(f"{value!r} is not a number from {self}")
        if self.step is None:
            return float(min(max(value, self.low), self.high))
        index = round((value - self.low) / self.step)
        if abs(self._at(index) - value) > 1e-6 * self.step:
            raise ValueError(f"{value!r} is not one of the steps from {self}")
        return self._at(index)

    def resolve(self, option: Scalar) -> ConfigValue:
        """Return the value that the configuration gets, the number itself."""
        return option

    @property
    def _steps(self) -> Fraction:
        return (_decimal(self.high) - _decimal(self.low)) / _decimal(self.step or 1)

    def _at(self, index: int) -> float:
        if self.digits is None:
            return float(_decimal(self.low) + index * _decimal(self.step or 0))
        # As in earlier sweeps: 0.1 + 2 * 0.1 is then 0.3, but -0.3 + 3 * 0.1 is not 0.
        return float(f"{self.low + index * (self.step or 0.0):.{self.digits}g}")


Range: TypeAlias = Choice | IntRange | FloatRange


def _decimal(value: float) -> Fraction:
    """Return exactly the decimal number that a person writes for ``value``."""
    return Fraction(repr(value))


def _check_order(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"`low <= high` must hold, got low = {low}, high = {high}")


def _log(log: bool) -> str:
    return " (log)" if log else ""


def as_config_value(value: object) -> ConfigValue:
    """Return a TOML value as a configuration value: lists become tuples.

    Raises:
        ValueError: it is a table, a date or a list of lists.
    """
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Sequence) and all(isinstance(part, bool | int | float | str) for part in value):
        return tuple(value)
    raise ValueError(f"a value is a text, a number, true, false or a list of them, got {value!r}")
