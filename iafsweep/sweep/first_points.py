"""``[[sweep.try]]``: configurations to train before the sampler proposes any, checked like any other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from iafsweep.config.problems import nearest
from iafsweep.errors import ConfigError
from iafsweep.sweep.ranges import Scalar
from iafsweep.sweep.space import SearchSpace


def check_first_points(space: SearchSpace, points: Sequence[Mapping[str, object]]) -> tuple[dict[str, Scalar], ...]:
    """Return points of ``space`` in canonical form.

    Args:
        space: the search space.
        points: values by dotted path, of exactly the parameters that are active together.

    Raises:
        ConfigError: a name is no parameter, a value is outside its range, one is missing or inactive, or together they
            break a rule; the message says which point it is.
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
        return json.dumps(list(value))  # as a choice among lists names them
    if not isinstance(value, bool | int | float | str):
        raise ConfigError(f"`{path}` must be one value, found {value!r}")
    return value
