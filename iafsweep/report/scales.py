"""Limits of axes: wide enough for what matters, not ruled by a few wild values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from iafsweep.report.figure import Axis
from iafsweep.search_space.distributions import Choice, Range, Scalar
from iafsweep.texts import value_text

_PAD = 0.04
_FEW = 5
_SPREAD, _FEW_VALUES = 0.5, 20
_ROOM = 1.5
_WILD = 3.0
"""A value is wild when it is so many times farther from the best than nine tenths of the values are."""


def linear(label: str, values: Iterable[float], *, zero: bool = False) -> Axis:
    """Return a linear axis over all finite ``values``."""
    low, high = _span([value for value in values if math.isfinite(value)] + ([0.0] if zero else []))
    pad = _PAD * (high - low)
    return Axis(label=label, low=low if zero and low == 0 else low - pad, high=high + pad)


def bounded(label: str, values: Iterable[float], telling: Sequence[float] = ()) -> tuple[Axis, int]:
    """Return an axis for figures of which small ones matter, and how many values lie above its end.

    It ends at the largest value, unless that is wild: then a little above nine tenths of the telling values.

    Args:
        label: what it shows.
        values: all of them.
        telling: those that it is made for, if there are a few of them; else all.
    """
    known = sorted(value for value in values if math.isfinite(value))
    low, high = _span(known)
    ruling = sorted(telling) if len(telling) >= _FEW else known
    if ruling:
        place = math.ceil(0.9 * len(ruling)) - 1
        bulk = ruling[min(place, len(ruling) - 2) if len(ruling) >= _FEW else place]
        if bulk > low and high - low > _WILD * (bulk - low):
            high = low + _ROOM * (bulk - low)
    pad = _PAD * (high - low)
    axis = Axis(label=label, low=low - pad, high=high + pad)
    return axis, sum(value > axis.high for value in known)


def logarithmic(label: str, values: Iterable[float]) -> Axis:
    """Return a logarithmic axis over all ``values`` above 0; linear if they span less than a factor of 3."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    if not known or max(known) < 3 * min(known):
        return linear(label, known)
    return Axis(label=label, low=min(known) / 1.15, high=max(known) * 1.15, log=True)


def of_range(label: str, searched: Range) -> Axis:
    """Return the axis of a searched parameter: its whole range, logarithmic where the search is."""
    if isinstance(searched, Choice):
        names = tuple(value_text(option) for option in searched.options)
        return Axis(label=label, low=-0.5, high=len(names) - 0.5, categories=names)
    whole = isinstance(searched.low, int) and isinstance(searched.high, int)
    if searched.log:
        ratio = (searched.high / searched.low) ** _PAD if searched.high > searched.low else 1.5
        return Axis(label=label, low=searched.low / ratio, high=searched.high * ratio, log=True, whole=whole)
    low, high = _span([float(searched.low), float(searched.high)])
    pad = max(_PAD * (high - low), 0.7 * spread(searched))
    return Axis(label=label, low=low - pad, high=high + pad, whole=whole)


def spread(searched: Range) -> float:
    """Return how wide the marks of one value may be spread, so as not to hide each other; 0 between close ones."""
    if isinstance(searched, Choice):
        return _SPREAD
    if searched.log or searched.size is None or not 1 < searched.size <= _FEW_VALUES:
        return 0.0
    return _SPREAD * (searched.step or 0.0)


def position(searched: Range, value: Scalar | None) -> float | None:
    """Return where a value stands on the axis of its range; None for one that has no place there."""
    if value is None:
        return None
    if isinstance(searched, Choice):
        names = [value_text(option) for option in searched.options]
        return float(names.index(value_text(value))) if value_text(value) in names else None
    if isinstance(value, str) or not math.isfinite(value) or (searched.log and value <= 0):
        return None
    return float(value)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest value, never equal."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if high > low:
        return low, high
    half = max(abs(low) * 0.05, 0.5)
    return low - half, high + half
