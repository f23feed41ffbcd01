"""The figures of the page as PNG files, drawn by matplotlib from the same records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from iafsweep.atomic import replacing
from iafsweep.errors import UserError
from iafsweep.records import TrialStatus
from iafsweep.report.figure import Axis, Bars, Curves, Figure, Parallel, Points, Spans
from iafsweep.shown_command import install_command

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: dict[TrialStatus, str] = {
    "completed": "#0072b2",
    "stopped": "#c77700",
    "running": "#00805d",
    "pending": "#8a6d9b",
    "interrupted": "#8a6d9b",
    "diverged": "#c2410c",
    "failed": "#a3195b",
    "oom": "#a3195b",
}
"""As in the page's style sheet."""
_MARKERS: dict[TrialStatus, str] = {
    "completed": "o", "stopped": "x", "running": ">", "pending": "s", "interrupted": "s", "diverged": "^",
    "failed": "D", "oom": "v",
}  # fmt: skip
_SERIES = ("#8a8f98", "#d17a00", "#0072b2")
_DPI = 150
_OFF = -0.12
"""How high on parallel axes an inactive parameter is drawn."""
_MANY = 80


def draw(figure: Figure, statuses: Mapping[str, TrialStatus], best: str | None, path: Path) -> None:
    """Draw a figure that is not empty into a PNG file, atomically.

    Args:
        figure: what it shows.
        statuses: how each trial stands.
        best: the best trial, which is drawn so that it can be seen.
        path: the file.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure as Canvas
    except ModuleNotFoundError:
        raise UserError(
            f"--png needs matplotlib, which is not installed; install it: {install_command('plots')}"
        ) from None
    canvas = Canvas(figsize=_size(figure), dpi=_DPI, layout="constrained")
    axes = canvas.add_subplot()
    axes.set_title(figure.title, loc="left", fontsize=10, fontweight="bold")
    match figure:
        case Curves():
            _curves(axes, figure, statuses, best)
        case Points():
            _points(axes, figure, statuses, best)
        case Bars():
            _bars(axes, figure)
        case Spans():
            _spans(axes, figure)
        case Parallel():
            _parallel(axes, figure, best)
    with replacing(path) as temporary:
        canvas.savefig(temporary, format="png")


def _size(figure: Figure) -> tuple[float, float]:
    if isinstance(figure, Bars):
        return 6.4, 1.1 + 0.32 * len(figure.bars)
    if isinstance(figure, Spans):
        return 7.2, 1.2 + 0.42 * len(figure.rows)
    if isinstance(figure, Parallel):
        return max(7.2, 1.15 * len(figure.axes)), 4.0
    return (4.0, 3.0) if figure.name.startswith("slice-") else (7.2, 4.2)


def _curves(axes: Axes, figure: Curves, statuses: Mapping[str, TrialStatus], best: str | None) -> None:
    _scale(axes, figure.x, figure.y)
    faint = 0.3 if len(figure.curves) > _MANY else 0.75
    for curve in reversed(figure.curves):
        colour, is_best = COLOURS[statuses[curve.trial]], curve.trial == best
        axes.plot(curve.x, curve.y, color=colour, linewidth=2.4 if is_best else 0.9, alpha=1 if is_best else faint)
        marker = _MARKERS[statuses[curve.trial]]
        axes.plot(curve.x[-1:], curve.y[-1:], marker, color=colour, markersize=6 if is_best else 3.5)
    _legend(axes, [statuses[curve.trial] for curve in figure.curves])


def _points(axes: Axes, figure: Points, statuses: Mapping[str, TrialStatus], best: str | None) -> None:
    _scale(axes, figure.x, figure.y)
    places = {point.trial: (point.x, point.y) for point in figure.points}
    front = [places[trial] for trial in figure.front]
    if front:
        axes.step(*zip(*front, strict=True), where="post", color="black", linestyle="--", linewidth=0.8)
    for status in COLOURS:
        of_status = [place for trial, place in places.items() if statuses[trial] == status]
        if of_status:
            x, y = zip(*of_status, strict=True)
            axes.plot(x, y, _MARKERS[status], color=COLOURS[status], markersize=4, alpha=0.6, clip_on=False)
    for trial in {*figure.front, *([best] if best in places else [])}:
        colour = "black" if trial == best else "grey"
        axes.plot(*places[trial], "o", markersize=9, fillstyle="none", color=colour)
    if not figure.name.startswith("slice-"):
        _legend(axes, [statuses[trial] for trial in places])


def _bars(axes: Axes, figure: Bars) -> None:
    names, values = [_plain(bar.label) for bar in figure.bars], [bar.value for bar in figure.bars]
    drawn = axes.barh(names, values, color=COLOURS["completed"], height=0.6)
    axes.bar_label(drawn, labels=[f"{value:.1%}" for value in values], padding=4, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(figure.x.low, figure.x.high * 1.08)
    axes.set_xlabel(figure.x.label, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _spans(axes: Axes, figure: Spans) -> None:
    for place, row in enumerate(figure.rows):
        for span in row.spans:
            y, colour = place + 0.2 * (span.series - 1), _SERIES[span.series]
            face = "white" if span.trusted is False else colour
            axes.errorbar([span.value], [y], xerr=span.error, fmt="o", color=colour, markerfacecolor=face, capsize=3)
    axes.set_yticks(range(len(figure.rows)), [row.trial for row in figure.rows])
    axes.invert_yaxis()
    axes.set_xlim(figure.x.low, figure.x.high)
    axes.set_xlabel(figure.x.label, fontsize=9)
    present = sorted({span.series for row in figure.rows for span in row.spans})
    for series in present:
        axes.plot([], [], "o", color=_SERIES[series], label=figure.series[series])
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.28), ncols=3)


def _parallel(axes: Axes, figure: Parallel, best: str | None) -> None:
    from matplotlib import colormaps

    colours, faint = colormaps["Blues_r"], 0.3 if len(figure.lines) > _MANY else 0.85
    for line in reversed(figure.lines):
        heights = [
            _OFF if value is None else _share(axis, value) for axis, value in zip(figure.axes, line.at, strict=True)
        ]
        is_best = line.trial == best
        width, opacity = (2.4, 1.0) if is_best else (0.9, faint)
        axes.plot(
            range(len(heights)), heights, color=colours(0.85 * (line.rank or 0.0)), linewidth=width, alpha=opacity
        )
    for place, axis in enumerate(figure.axes):
        axes.axvline(place, color="grey", linewidth=0.8)
        ends = [(_share(axis, value), label) for value, label in _ticks(axis)]
        if any(line.at[place] is None for line in figure.lines):
            ends.append((_OFF, "off"))
        for height, label in ends:
            axes.annotate(_plain(label), (place, height), xytext=(3, -2), textcoords="offset points", fontsize=7)
    axes.set_xticks(
        range(len(figure.axes)), [_plain(axis.label) for axis in figure.axes], fontsize=8, rotation=20, ha="right"
    )
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _ticks(axis: Axis) -> list[tuple[float, str]]:
    """A few values on an axis, with their texts."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    if axis.categories:
        return [(float(value), name) for value, name in enumerate(axis.categories)]
    locator = LogLocator(subs=(1, 2, 5)) if axis.log else MaxNLocator(5, integer=axis.whole)
    values = [float(value) for value in locator.tick_values(axis.low, axis.high)]
    return [(value, f"{value:g}") for value in values if axis.low <= value <= axis.high]


def _share(axis: Axis, value: float) -> float:
    """How far up an axis a value stands, from 0 to 1."""
    from math import log

    if axis.log:
        return (log(value) - log(axis.low)) / (log(axis.high) - log(axis.low))
    return (value - axis.low) / (axis.high - axis.low)


def _scale(axes: Axes, x: Axis, y: Axis) -> None:
    """Give a plot the limits, ticks and labels of two axes."""
    if x.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(y.low, y.high)
    if x.categories or x.log:
        values, labels = zip(*_ticks(x), strict=True)
        axes.set_xticks(values, [_plain(label) for label in labels], rotation=20 if x.categories else 0)
    axes.set_xlabel(_plain(x.label), fontsize=9)
    axes.set_ylabel(_plain(y.label), fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, linewidth=0.4, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes, present: list[TrialStatus]) -> None:
    for status in COLOURS:
        if status in present:
            label = f"{present.count(status)} {'stopped early' if status == 'stopped' else status}"
            axes.plot([], [], _MARKERS[status], color=COLOURS[status], label=label)
    axes.legend(fontsize=8, frameon=False)


def _plain(label: str) -> str:
    """A text that matplotlib must not take for a formula."""
    return label.replace("$", r"\$")
