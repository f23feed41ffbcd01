"""Configurations of a search space as points whose distance measures how much they differ."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from iafsweep.search_space.distributions import Choice, FloatRange, IntRange, Scalar
from iafsweep.search_space.space import Parameter, SearchSpace

Point = NDArray[np.float64]


class Features:
    """Coordinates of configurations, each in [0, 1].

    A number has one coordinate, its position in the range (on a log scale if the range is logarithmic). A choice of
    numbers also has one, its rank among the options; any other choice has one per option (one-hot). A conditional
    parameter has one more, which says whether it is active. If it is not, its other coordinates are 0.5, so that
    inactive is a category of its own.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._parameters = space.parameters

    def point(self, values: Mapping[str, Scalar]) -> Point:
        """Return the coordinates of a configuration, [F]."""
        found: list[float] = []
        for parameter in self._parameters:
            found += _coordinates(parameter, values.get(parameter.path))
        return np.array(found)

    def branch(self, values: Mapping[str, Scalar]) -> frozenset[str]:
        """Return the conditional parameters that are active."""
        return frozenset(each.path for each in self._parameters if each.when is not None and each.path in values)


def _coordinates(parameter: Parameter, value: Scalar | None) -> list[float]:
    place = _place(parameter, value)
    return place if parameter.when is None else [*place, float(value is not None)]


def _place(parameter: Parameter, value: Scalar | None) -> list[float]:
    match parameter.range:
        case Choice() as choice if not all(_is_number(option) for option in choice.options):
            return [0.5 if value is None else float(option == value) for option in choice.options]
        case Choice() as choice:
            ordered = sorted(choice.options)
            return [0.5 if value is None else ordered.index(value) / max(len(ordered) - 1, 1)]
        case IntRange(low, high, _, log) | FloatRange(low, high, _, log):
            if value is None or low == high:
                return [0.5]
            ends = (math.log(low), math.log(float(value)), math.log(high)) if log else (low, float(value), high)
            return [(ends[1] - ends[0]) / (ends[2] - ends[0])]


def _is_number(option: Scalar) -> bool:
    return isinstance(option, int | float) and not isinstance(option, bool)
