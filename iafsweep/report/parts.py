"""Pieces of the page that several sections are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from iafsweep.records import FigureCell, ShareCell, TextTable, TrialStatus
from iafsweep.records.trust import Level, level_of
from iafsweep.report.figure import Figure, Spans
from iafsweep.report.markup import Markup, element
from iafsweep.report.private import shareable

MARKS: dict[TrialStatus, str] = {
    "completed": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
    "stopped": "M-4-4L4 4M-4 4L4-4",
    "running": "M-4-4L5 0L-4 4Z",
    "pending": "M-4-4H4V4H-4Z",
    "interrupted": "M-4-4H4V4H-4Z",
    "diverged": "M0-5L4.5 4H-4.5Z",
    "failed": "M0-5L5 0L0 5L-5 0Z",
    "oom": "M0 5L4.5-4H-4.5Z",
}
"""The mark of each status, as the figures draw it."""
WORDS: dict[TrialStatus, str] = {
    "completed": "completed",
    "stopped": "stopped early",
    "running": "running",
    "pending": "waiting",
    "interrupted": "interrupted",
    "diverged": "diverged",
    "failed": "failed",
    "oom": "out of memory",
}
_MANY, _VERY_MANY = 80, 300
"""With more trials than this marks are drawn thinner, and thinner still."""


def trial_button(trial: str) -> Markup:
    """Return a trial's name, which shows it in all figures when it is pressed."""
    return element("button", trial, class_="trial", type="button", data_trial=trial, aria_pressed="false")


def status_mark(status: TrialStatus) -> Markup:
    """Return the mark of a status."""
    path = element("path", class_=f"mark s-{status}", d=MARKS[status])
    return element("svg", path, viewBox="-6 -6 12 12", aria_hidden="true")


def pill(level: Level, text: str) -> Markup:
    """Return a word that is judged good or bad."""
    return element("span", text, class_=f"pill {level}")


def legend(counts: Mapping[TrialStatus, int]) -> Markup:
    """Return what the marks mean, with how many trials each status has."""
    items = [
        element("li", status_mark(status), element("span", element("b", f"{counts[status]:,}"), f" {WORDS[status]}"))
        for status in get_args(TrialStatus)
        if counts.get(status)
    ]
    return element("ul", items, class_="legend")


def figure_card(figure: Figure, trials: int, *extra: Markup, class_: str = "card") -> Markup:
    """Return a figure that the page's script draws; without marks the reason stands in its place."""
    caption = element(
        "figcaption",
        element("h3", figure.title),
        element("p", figure.note, class_="note") if figure.note and not figure.empty else None,
    )
    if figure.empty:
        return element("figure", caption, element("p", figure.empty, class_="empty"), class_=class_, id=figure.name)
    keyboard = {} if figure.kind == "bars" else {"tabindex": "0"}
    plot = element(
        "div",
        class_="plot" + (" throng" if trials > _VERY_MANY else " crowd" if trials > _MANY else ""),
        role="group" if keyboard else "img",
        aria_label=figure.title + (". Arrow keys go from trial to trial." if keyboard else ""),
        data_figure=figure.name,
        **keyboard,
    )
    series = [_series(figure)] if isinstance(figure, Spans) else []
    return element("figure", caption, series, extra, plot, class_=class_, id=figure.name)


def text_table(table: TextTable, *, sortable: bool, keys: int = 1, label: str) -> Markup:
    """Return a table of texts that scrolls within itself.

    Args:
        table: the texts.
        sortable: whether its headings sort it.
        keys: how many columns in front stay in sight: their last does.
        label: what it shows.
    """
    left = {
        place
        for place, heading in enumerate(table.header)
        if heading in ("trial", "status", "figure", "settings", "start")
    }
    headings = [
        _heading(text, sortable=sortable, class_=_classes(place, left, keys)) for place, text in enumerate(table.header)
    ]
    trial = table.header.index("trial")
    rows = [
        element(
            "tr",
            [_cell(table.header[place], cell, _classes(place, left, keys)) for place, cell in enumerate(row)],
            data_trial=row[trial],
        )
        for row in table.rows
    ]
    drawn = element(
        "table",
        element("thead", element("tr", headings)),
        element("tbody", rows),
        class_="sortable" if sortable else None,
    )
    return element("div", drawn, class_="scroll", tabindex="0", role="region", aria_label=label)


def _classes(place: int, left: set[int], keys: int) -> str | None:
    found = [*(["left"] if place in left else []), *(["key"] if place == keys - 1 else [])]
    return " ".join(found) or None


def _heading(text: str, *, sortable: bool, class_: str | None) -> Markup:
    name, _, images = text.replace("-ELBO", "−ELBO").partition(" (")
    small = element("small", f"({images}") if images else None
    if not sortable:
        return element("th", name, small, scope="col", class_=f"plain {class_ or ''}".strip())
    return element("th", element("button", element("span", name), small, type="button"), scope="col", class_=class_)


def _cell(heading: str, cell: str | FigureCell | ShareCell, class_: str | None) -> Markup:
    """A cell; what it says of untrusted images is judged by their share, of which its text shows whole percents."""
    if isinstance(cell, ShareCell):
        return element("td", pill(level_of(cell.untrusted), str(cell)), class_=class_)
    if isinstance(cell, FigureCell):
        value, error, untrusted, details = cell.parts
        judged = pill(level_of(cell.untrusted or 0.0), untrusted.removeprefix(", ")) if untrusted else None
        error_span = element("span", error, class_="soft") if error else None
        rest = element("span", f" {shareable(details)}", class_="soft") if details else None
        return element("td", value, error_span, judged, rest, class_=class_)
    if heading == "trial":
        return element("th", trial_button(cell), scope="row", class_=class_)
    status = next((each for each in MARKS if each == cell), None)
    if heading == "status" and status is not None:
        return element("td", element("span", status_mark(status), WORDS[status], class_="status"), class_=class_)
    if cell == "-":
        return element("td", element("span", "–", class_="soft"), class_=class_)
    return element("td", shareable(cell), class_=class_)


def _series(figure: Spans) -> Markup:
    circle = element("circle", r=4)
    items = []
    present = {span.series for row in figure.rows for span in row.spans}
    for place, name in enumerate(figure.series):
        if place in present:
            mark = element(
                "svg", element("g", circle, class_=f"span c-{place}"), viewBox="-6 -6 12 12", aria_hidden="true"
            )
            items.append(element("li", mark, name))
    return element("ul", items, class_="legend")
