"""What a ``when`` means: comparisons of configuration fields with literals, joined by and, or and not."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from iafsweep.errors import ConfigError
from iafsweep.search_space.distributions import Scalar

Lookup: TypeAlias = Callable[[str], object]
"""Returns the value of a configuration field by its dotted path."""

NUMBER_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _same(value: object, literal: Scalar) -> bool:
    """Equality that keeps ``true`` apart from 1."""
    return isinstance(value, bool) == isinstance(literal, bool) and value == literal


@dataclass(frozen=True)
class Comparison:
    """One field compared with one literal, or (``in``) with several.

    An unset field equals nothing and is neither smaller nor larger than anything.

    Attributes:
        path: dotted path of the field.
        operator: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` or ``in``.
        literals: what it is compared with.
        column: where it stands in the text, from 1; no part of equality.
    """

    path: str
    operator: str
    literals: tuple[Scalar, ...]
    column: int = field(default=0, compare=False)

    def holds(self, lookup: Lookup) -> bool:
        """Whether the comparison is true of the values that ``lookup`` returns."""
        value = lookup(self.path)
        if self.operator in NUMBER_ORDER:
            literal = self.literals[0]
            if isinstance(value, bool | str) or not isinstance(value, int | float):
                return False
            return isinstance(literal, int | float) and NUMBER_ORDER[self.operator](value, literal)
        equal = any(_same(value, literal) for literal in self.literals)
        return not equal if self.operator == "!=" else equal

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Itself alone."""
        return (self,)


@dataclass(frozen=True)
class Not:
    """True where ``part`` is false."""

    part: Expression

    def holds(self, lookup: Lookup) -> bool:
        """Whether the part is false."""
        return not self.part.holds(lookup)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons in it."""
        return self.part.comparisons


@dataclass(frozen=True)
class All:
    """True where every part is."""

    parts: tuple[Expression, ...]

    def holds(self, lookup: Lookup) -> bool:
        """Whether every part is true."""
        return all(part.holds(lookup) for part in self.parts)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons in it."""
        return tuple(found for part in self.parts for found in part.comparisons)


@dataclass(frozen=True)
class Any:
    """True where at least one part is."""

    parts: tuple[Expression, ...]

    def holds(self, lookup: Lookup) -> bool:
        """Whether at least one part is true."""
        return any(part.holds(lookup) for part in self.parts)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons in it."""
        return tuple(found for part in self.parts for found in part.comparisons)


Expression: TypeAlias = Comparison | Not | All | Any


@dataclass(frozen=True)
class Condition:
    """A parsed ``when``.

    Attributes:
        text: as it was written.
        expression: what it says; equality of conditions is equality of expressions.
    """

    text: str = field(compare=False)
    expression: Expression

    def holds(self, lookup: Lookup) -> bool:
        """Whether the condition is true of the values that ``lookup`` returns."""
        return self.expression.holds(lookup)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison in it, from left to right."""
        return self.expression.comparisons

    @property
    def paths(self) -> frozenset[str]:
        """The fields it looks at."""
        return frozenset(comparison.path for comparison in self.comparisons)

    def error(self, message: str, column: int) -> ConfigError:
        """Return an error that points at a column (from 1) of the text."""
        return condition_error(self.text, message, column)


def condition_error(text: str, message: str, column: int) -> ConfigError:
    """Return an error that points at a column (from 1) of a condition's text."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return ConfigError(f"when, column {column}: {message}\n    {shown}\n    {' ' * (column - 1)}^")
