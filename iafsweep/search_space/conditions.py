"""Conditions of search spaces: ``when = "model.flow.depth > 0 and model.flow.gated == true"``.

This is the whole grammar. It compares configuration fields with literals and can do nothing else::

    condition  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = "not" negation | "(" condition ")" | comparison
    comparison = FIELD ("==" | "!=" | "<" | "<=" | ">" | ">=") literal | FIELD "in" "[" literal { "," literal } "]"
    literal    = NUMBER | "'text'" | '"text"' | "true" | "false"
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, NoReturn, TypeAlias

from iafsweep.config.problems import known_paths, unknown_key
from iafsweep.errors import ConfigError
from iafsweep.search_space.distributions import Scalar

Lookup: TypeAlias = Callable[[str], object]
"""Returns the value of a configuration field by its dotted path."""

NUMBER_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip


def _same(value: object, literal: Scalar) -> bool:
    """Whether both are equal, with ``true`` different from 1."""
    return isinstance(value, bool) == isinstance(literal, bool) and value == literal


@dataclass(frozen=True)
class Comparison:
    """A comparison of a field with one literal, or (``in``) with several.

    An unset field equals nothing and is neither smaller nor larger than anything.

    Attributes:
        path: dotted path of the field.
        operator: ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=`` or ``in``.
        literals: what it is compared with.
        column: its position in the text, from 1; ignored by equality.
    """

    path: str
    operator: str
    literals: tuple[Scalar, ...]
    column: int = field(default=0, compare=False)

    def holds(self, lookup: Lookup) -> bool:
        """Whether the comparison holds for the values that ``lookup`` returns."""
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
        """The comparison itself."""
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
class Joined:
    """Parts joined by ``and``, which is true where every part is, or by ``or``, which is true where any part is."""

    word: Literal["and", "or"]
    parts: tuple[Expression, ...]

    def holds(self, lookup: Lookup) -> bool:
        """Whether every part is true (``and``), or any part (``or``)."""
        return (all if self.word == "and" else any)(part.holds(lookup) for part in self.parts)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons in it."""
        return tuple(found for part in self.parts for found in part.comparisons)


Expression: TypeAlias = Comparison | Not | Joined


@dataclass(frozen=True)
class Condition:
    """A parsed ``when``.

    Conditions are equal if their expressions are, however the texts are written.
    """

    text: str = field(compare=False)
    expression: Expression

    def holds(self, lookup: Lookup) -> bool:
        """Whether the condition holds for the values that ``lookup`` returns."""
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


_MAXIMUM_LENGTH = 500
_MAXIMUM_DEPTH = 20
_KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false"})

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.]))
      | (?P<text>"[^"]*"|'[^']*')
      | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<operator>==|!=|<=|>=|<|>)
      | (?P<mark>[()\[\],])
    )""",
    re.VERBOSE | re.ASCII,
)


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def parse_condition(text: str) -> Condition:
    """Parse a ``when``.

    Raises:
        ConfigError: the text is not a condition, is too long or too deep, or names an unknown field; the message points
            at the column.
    """
    if len(text) > _MAXIMUM_LENGTH:
        raise ConfigError(f"a `when` has at most {_MAXIMUM_LENGTH} characters, found {len(text)}; write it shorter")
    return Condition(text, _Parser(text).parse())


def _tokens(text: str) -> list[_Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            column = position + len(text[position:]) - len(text[position:].lstrip()) + 1
            raise condition_error(text, f"cannot read {text[column - 1 :][:10]!r} here; {_EXPECTED}", column)
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        position = match.end()
    return [*tokens, _Token("end", "the end", end + 1)]


_EXPECTED = "a condition compares fields with literals, as in `model.flow.depth > 0 and model.encoder.kind == 'mlp'`"


class _Parser:
    """Recursive descent over the tokens; parentheses and ``not`` nest at most ``_MAXIMUM_DEPTH`` deep."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._position = 0
        self._depth = 0

    def parse(self) -> Expression:
        expression = self._condition()
        if self._next.kind != "end":
            self._fail("expected `and`, `or` or the end")
        return expression

    @property
    def _next(self) -> _Token:
        return self._tokens[self._position]

    def _take(self) -> _Token:
        token = self._next
        self._position += 1
        return token

    def _skip(self, text: str) -> bool:
        """Take the next token if it is the keyword or mark ``text``."""
        found = self._next.text == text and self._next.kind in {"word", "mark"}
        self._position += found
        return found

    def _fail(self, message: str) -> NoReturn:
        found = self._next.text if self._next.kind == "end" else f"`{self._next.text}`"
        raise condition_error(self._text, f"{message}, found {found}", self._next.column)

    def _condition(self) -> Expression:
        return self._joined("or", lambda: self._joined("and", self._negation))

    def _joined(self, word: Literal["and", "or"], part: Callable[[], Expression]) -> Expression:
        parts = [part()]
        while self._skip(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _negation(self) -> Expression:
        column = self._next.column
        self._depth += 1
        if self._depth > _MAXIMUM_DEPTH:
            raise condition_error(self._text, f"nested more than {_MAXIMUM_DEPTH} deep; write it flatter", column)
        expression: Expression
        if self._skip("not"):
            expression = Not(self._negation())
        elif self._skip("("):
            expression = self._condition()
            if not self._skip(")"):
                self._fail(f"expected `)` for the `(` in column {column}")
        else:
            expression = self._comparison()
        self._depth -= 1
        return expression

    def _comparison(self) -> Comparison:
        if self._next.kind != "word" or self._next.text in _KEYWORDS:
            self._fail("a comparison begins with a configuration field such as `model.flow.depth`; expected one")
        name = self._take()
        if name.text not in known_paths():
            raise condition_error(self._text, unknown_key(name.text), name.column)
        if self._skip("in"):
            return Comparison(name.text, "in", self._literals(), name.column)
        if self._next.kind != "operator":
            self._fail(f"expected ==, !=, <, <=, >, >= or `in` after `{name.text}`")
        sign = self._take().text
        column = self._next.column
        literal = self._literal()
        if sign in NUMBER_ORDER and isinstance(literal, bool | str):
            raise condition_error(self._text, f"`{sign}` compares numbers, found {literal!r}; use == or !=", column)
        return Comparison(name.text, sign, (literal,), name.column)

    def _literals(self) -> tuple[Scalar, ...]:
        if not self._skip("["):
            self._fail("expected `[` after `in`")
        literals = [self._literal()]
        while self._skip(","):
            literals.append(self._literal())
        if not self._skip("]"):
            self._fail("expected `,` or `]`")
        return tuple(literals)

    def _literal(self) -> Scalar:
        kind, text, column = self._next
        if kind == "text":
            self._take()
            return text[1:-1]
        if kind == "word" and text in {"true", "false"}:
            self._take()
            return text == "true"
        if kind != "number":
            self._fail("expected a number, a quoted text, true or false")
        self._take()
        if not math.isfinite(float(text)):
            raise condition_error(self._text, f"a number must be finite, found {text}", column)
        return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)
