"""Conditions: what they mean, and that no text, however hostile, does more than fail with a message."""

import random
import re
import string

import pytest

from iafsweep.errors import ConfigError
from iafsweep.search_space.conditions import parse_condition

VALUES = {
    "model.flow.depth": 3,
    "model.latent_size": 32,
    "model.flow.gated": True,
    "model.encoder.kind": "mlp",
    "model.flow.context_size": None,
    "training.learning_rate": 1e-3,
    "title": "it's and or",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("model.flow.depth > 0", True),
        ("model.flow.depth>=3", True),
        ("model.flow.depth < 3", False),
        ("model.flow.depth <= 3", True),
        ("model.flow.depth == 3.0", True),
        ("model.flow.depth != 3", False),
        ("model.flow.depth > -1", True),
        ("training.learning_rate < 1e-2", True),
        ("training.learning_rate == .001", True),
        ("model.encoder.kind == 'mlp'", True),
        ('model.encoder.kind != "mlp"', False),
        ("model.encoder.kind in ['resnet', 'mlp']", True),
        ("model.encoder.kind in ['resnet']", False),
        ("model.flow.depth in [1, 2]", False),
        ("not model.flow.depth in [1, 2]", True),
        ("model.flow.gated == true", True),
        ("model.flow.gated == false", False),
        ("model.flow.gated == 1", False),
        ("model.flow.depth == true", False),
        ('title == "it\'s and or"', True),
        # and binds closer than or, not closer than and
        ("model.flow.depth == 3 or model.flow.depth == 4 and model.latent_size == 1", True),
        ("(model.flow.depth == 3 or model.flow.depth == 4) and model.latent_size == 1", False),
        ("not model.flow.depth == 4 and model.latent_size == 1", False),
        ("not (model.flow.depth == 4 and model.latent_size == 1)", True),
        ("not not model.flow.depth == 3", True),
        # an unset field equals nothing and has no size
        ("model.flow.context_size == 3", False),
        ("model.flow.context_size != 3", True),
        ("model.flow.context_size > 0", False),
        ("not model.flow.context_size > 0", True),
    ],
)
def test_meaning(text, holds):
    assert parse_condition(text).holds(VALUES.__getitem__) is holds


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected one, found the end"),
        ("model.flow.depth", 17, "expected ==, !=, <, <=, >, >= or `in` after `model.flow.depth`, found the end"),
        ("model.flow.depth >", 19, "expected a number, a quoted text, true or false, found the end"),
        ("model.flow.depth >> 0", 19, "expected a number.*found `>`"),
        ("model.flow.depth = 0", 18, "cannot read '= 0' here"),
        ("model.flow.dept > 0", 1, "unknown key `model.flow.dept`: did you mean `model.flow.depth`"),
        ("model.flow > 0", 1, "`model.flow` is a table, not a value"),
        ("0 < model.flow.depth", 1, "a comparison begins with a configuration field.*found `0`"),
        ("model.flow.depth > model.latent_size", 20, "expected a number.*found `model.latent_size`"),
        (
            "model.flow.depth > 0 model.latent_size > 0",
            22,
            "expected `and`, `or` or the end, found `model.latent_size`",
        ),
        ("model.flow.depth > 0 && model.latent_size > 0", 22, "cannot read '&& model.l'"),
        ("model.flow.depth > 0 and", 25, "found the end"),
        ("(model.flow.depth > 0", 22, r"expected `\)` for the `\(` in column 1"),
        ("model.flow.depth > 0)", 21, "expected `and`, `or` or the end"),
        ("model.flow.depth in 3", 21, r"expected `\[` after `in`"),
        ("model.flow.depth in []", 22, "expected a number"),
        ("model.flow.depth in [3", 23, "expected `,` or `]`"),
        ("model.encoder.kind == mlp", 23, "expected a number, a quoted text.*found `mlp`"),
        ("model.encoder.kind == 'mlp", 23, 'cannot read "\'mlp"'),
        ("model.encoder.kind < 'mlp'", 22, "`<` compares numbers, found 'mlp'"),
        ("model.flow.gated == True", 21, "found `True`"),
        ("model.flow.gated", 17, "expected =="),
        ("model.flow.depth > 1e999", 20, "must be finite"),
        ("model.flow.depth > 1x", 20, "cannot read"),
        ("model.flow.depth > 0x10", 20, "cannot read"),
        ("and", 1, "a comparison begins"),
        ("model.flow.depth > 0 # all", 22, "cannot read"),
    ],
)
def test_errors_point_at_the_column(text, column, message):
    with pytest.raises(ConfigError, match=f"(?s)when, column {column}: .*{message}") as caught:
        parse_condition(text)
    shown, caret = str(caught.value).split("\n")[-2:]
    assert shown.strip() == text.strip()
    assert caret.index("^") == 4 + column - 1


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "model.__class__.__mro__ == 1",
        "__builtins__ == 1",
        "model.flow.depth.__init__ == 1",
        "model.flow.depth > (lambda: 0)()",
        "model.flow.depth > 9**9**9",
        "model.flow.depth == {}.format",
        "model.flow.depth == f'{1}'",
        "print(1)",
        "exec('1')",
        "(" * 10_000,
        "(" * 200 + "model.flow.depth > 0" + ")" * 200,
        "not " * 100 + "model.flow.depth > 0",
        "model.flow.depth > " + "9" * 5000,
        "model.flow.depth > 0 and " * 1000,
        "'" * 401,
        "a" * 500,
        "a." * 250,
        "1" * 499 + "x",
        "\x00\x1b[31m",
        "model.flow.depth > \u0663",  # a digit, but not one of ours
        "m\u043edel.flow.depth > 0",  # a Cyrillic o
    ],
)
def test_hostile_texts_are_refused(text):
    with pytest.raises(ConfigError) as caught:
        parse_condition(text)
    assert "\x1b" not in str(caught.value)


def test_nesting_within_reason_is_understood():
    text = "(" * 15 + "model.flow.depth > 0" + ")" * 15
    assert parse_condition(text).holds(VALUES.__getitem__)


def test_random_texts_do_nothing_but_parse_or_be_refused():
    generator = random.Random(0)
    pieces = [
        "model.flow.depth",
        ">",
        "==",
        "in",
        "[",
        "]",
        "(",
        ")",
        "and",
        "or",
        "not",
        "1",
        "'a'",
        ",",
        "true",
        "__x__",
    ]
    parsed = 0
    for _ in range(3000):
        text = " ".join(generator.choices(pieces, k=generator.randrange(1, 12)))
        try:
            parse_condition(text).holds(VALUES.__getitem__)
            parsed += 1
        except ConfigError:
            continue
    for _ in range(1000):
        text = "".join(generator.choices(string.printable, k=generator.randrange(60)))
        with pytest.raises(ConfigError):
            parse_condition(text)
    assert parsed > 0


def test_equality_is_of_meaning_not_of_writing():
    assert parse_condition("model.flow.depth > 0") == parse_condition("( model.flow.depth>0 )")
    assert parse_condition("model.flow.depth > 0") != parse_condition("model.flow.depth > 1")


def test_paths_and_comparisons():
    condition = parse_condition("not (model.flow.depth > 0 or model.encoder.kind == 'mlp') and model.flow.depth < 9")
    assert condition.paths == {"model.flow.depth", "model.encoder.kind"}
    assert [comparison.column for comparison in condition.comparisons] == [
        match.start() + 1 for match in re.finditer("model", condition.text)
    ]
