"""Ranges: their rules by message, their values, and how they compare and print."""

import pytest

from iafsweep.search_space.distributions import Choice, FloatRange, IntRange


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice(()), "at least one value"),
        (lambda: Choice((1, 2, 1)), "each value once, got 1 twice"),
        (lambda: Choice((1, True)), "each value once, got True twice"),
        (lambda: Choice(((3,), (3,))), r"got '\[3\]' twice"),
        (lambda: Choice((float("nan"),)), "got nan"),
        (lambda: Choice((None,)), "got None"),
        (lambda: Choice((((1,),),)), r"got \(1,\)"),
        (lambda: IntRange(3, 2), "`low <= high` must hold, got low = 3, high = 2"),
        (lambda: IntRange(1.0, 2), "whole numbers, got low = 1.0"),
        (lambda: IntRange(False, 2), "whole numbers, got low = False"),
        (lambda: IntRange(0, 5, step=0), "`step >= 1` must hold, got step = 0"),
        (lambda: IntRange(0, 5, step=2), "steps of 2 from 0 end at 4, not at high = 5; write 4"),
        (lambda: IntRange(0, 4, log=True), "`low >= 1` must hold for log = true, got low = 0"),
        (lambda: IntRange(1, 5, step=2, log=True), "`log` and `step` exclude each other"),
        (lambda: FloatRange(2.0, 1.0), "`low <= high`"),
        (lambda: FloatRange(0.0, float("inf")), "finite numbers, got high = inf"),
        (lambda: FloatRange("0", 1.0), "finite numbers, got low = '0'"),
        (lambda: FloatRange(0.0, 1.0, log=True), "`low > 0` must hold for log = true, got low = 0.0"),
        (lambda: FloatRange(0.1, 1.0, step=0.1, log=True), "exclude each other"),
        (lambda: FloatRange(0.0, 1.0, step=-0.1), "`step > 0` must hold"),
        (lambda: FloatRange(0.0, 1.0, step=1e-15), "`step >= 1e-07` must hold between 0.0 and 1.0, got step = 1e-15"),
        (lambda: FloatRange(0.0, 1.0, step=5e-324), "take a larger step, or leave `step` out"),
        (lambda: FloatRange(0.0, 1e-320, step=5e-324), "`step >= 2.23e-308` must hold"),
        (lambda: FloatRange(-1e308, 1e308), "high - low must be a finite number, got low = -1e\\+308"),
        (lambda: FloatRange(0, 10**400), "finite numbers, got high = 10000"),
        (lambda: IntRange(1, 10**400, log=True), "whole numbers, got high = 10000"),
        (lambda: Choice((10**400,)), "finite numbers"),
        (lambda: FloatRange(0.0, 1.0, step=0.3333333), "end at 0.9999999, not at high = 1.0; write 0.9999999"),
        (lambda: FloatRange(0.0, 1.0, step=0.3), "steps of 0.3 from 0.0 end at 0.9, not at high = 1.0; write 0.9"),
    ],
)
def test_rules(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        (Choice(("b", "a")), ["b", "a"]),
        (Choice(((300, 300), (500,))), ["[300, 300]", "[500]"]),
        (IntRange(0, 3), [0, 1, 2, 3]),
        (IntRange(2, 8, step=3), [2, 5, 8]),
        (IntRange(5, 5), [5]),
        (FloatRange(0.1, 0.4, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        (FloatRange(-0.3, 0.3, step=0.1), [-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3]),
        (FloatRange(0.1234567890123, 0.1434567890123, step=0.01), [0.1234567890123, 0.1334567890123, 0.1434567890123]),
        (FloatRange(1e-7, 7e-7, step=3e-7), [1e-7, 4e-7, 7e-7]),
        (FloatRange(1, 1), [1.0]),
    ],
)
def test_values(values, listed):
    if values == FloatRange(1, 1):
        assert values.size == 1
    else:
        assert list(values) == listed
        assert values.size == len(listed)
    assert all(values.canonical(value) == value for value in listed)
    assert {*values.extremes} <= {*listed}


def test_endless():
    assert FloatRange(0.0, 1.0).size is None
    with pytest.raises(ValueError, match="without `step` cannot be listed"):
        iter(FloatRange(0.0, 1.0))


@pytest.mark.parametrize(
    ("values", "outside"),
    [
        (Choice((1, 2)), 3),
        (Choice((1, 2)), True),
        (Choice((True, False)), 1),
        (Choice(("a",)), "b"),
        (IntRange(0, 4, step=2), 3),
        (IntRange(0, 4), 5),
        (IntRange(0, 4), 2.0),
        (IntRange(0, 4), True),
        (FloatRange(0.0, 1.0), 1.1),
        (FloatRange(0.0, 1.0), "0.5"),
        (FloatRange(0.0, 1.0), float("nan")),
        (FloatRange(0.0, 1.0, step=0.5), 0.25),
    ],
)
def test_outside(values, outside):
    with pytest.raises(ValueError, match="is not"):
        values.canonical(outside)


def test_rounding_errors_of_steps_are_mended():
    values = FloatRange(0.1, 0.5, step=0.1)
    assert 0.1 + 2 * 0.1 != 0.3
    assert values.canonical(0.1 + 2 * 0.1) == 0.3
    assert FloatRange(1e-4, 3e-3, log=True).canonical(3e-3 * (1 + 1e-12)) == 3e-3


def test_grids_of_earlier_sweeps_keep_their_rounding():
    """The values they proposed, seeds and keys hang on them, whatever a person would write."""
    rounded = FloatRange(-0.3, 0.3, step=0.1, digits=12)
    assert list(rounded) == [-0.3, -0.2, -0.1, 5.55111512313e-17, 0.1, 0.2, 0.3]
    assert FloatRange(0.0, 1.0, step=0.3333333333, digits=12).size == 4
    assert FloatRange(0.0, 1.0, step=1e-15, digits=12).size == 10**15 + 1  # was stored, and is read


def test_lists_are_scalars_to_samplers_and_lists_to_the_configuration():
    choice = Choice(((300, 300), (500,)))
    assert choice.resolve("[300, 300]") == (300, 300)


def test_compare_and_print_by_value():
    assert IntRange(0, 3) == IntRange(0, 3) != IntRange(0, 4)
    assert Choice((1, 2)) != Choice((2, 1))
    assert str(IntRange(1, 64, log=True)) == "1 to 64 (log)"
    assert str(FloatRange(0, 1, step=0.5)) == "0 to 1 in steps of 0.5"
    assert str(Choice(("a", 2))) == "one of a, 2"
    assert repr(FloatRange(0.5, 1.0)) == "FloatRange(low=0.5, high=1.0, step=None, log=False)"
