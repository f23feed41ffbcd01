"""The leaderboard as a table for people: the figures that matter, with their errors and what they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from iafsweep.leaderboard.ranking import ranked
from iafsweep.records import LeaderboardRow, TextTable
from iafsweep.records.settling import APART, SETTLED, are_apart, is_unsettled
from iafsweep.texts import value_text


@dataclass(frozen=True)
class _Figure:
    """One column of figures, with the fields of a row it is made of; settings are fields and the unit of each."""

    title: str
    value: str
    images: str
    error: str | None = None
    untrusted: str | None = None
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Unequal:
    """Whether the figures of a column rest on different numbers of images, and in which settings they differ."""

    images: bool
    settings: tuple[tuple[str, str], ...]


_FIGURES = (
    _Figure("validation -ELBO", "validation_negative_elbo", "validation_images"),
    _Figure("test -ELBO", "test_negative_elbo", "test_negative_elbo_images", "test_negative_elbo_error"),
    _Figure(
        "test NLL, IS",
        "nll_importance_sampling",
        "nll_importance_sampling_images",
        "nll_importance_sampling_error",
        "nll_importance_sampling_untrusted",
        (("nll_importance_sampling_samples", " samples"),),
    ),
    _Figure(
        "test NLL, HAIS",
        "nll_hais",
        "nll_hais_images",
        "nll_hais_error",
        "nll_hais_untrusted",
        (("nll_hais_settings", ""),),
    ),
    _Figure(
        "test NLL, IS beside HAIS",
        "nll_importance_sampling_on_hais_images",
        "nll_hais_images",
        "nll_importance_sampling_on_hais_images_error",
    ),
    _Figure(
        "retrained test NLL, IS",
        "retrained_nll_importance_sampling",
        "retrained_nll_importance_sampling_images",
        "retrained_nll_importance_sampling_spread",
        settings=(
            ("retrained_nll_importance_sampling_seeds", " seeds"),
            ("retrained_nll_importance_sampling_samples", " samples"),
        ),
    ),
    _Figure(
        "retrained test NLL, HAIS",
        "retrained_nll_hais",
        "retrained_nll_hais_images",
        "retrained_nll_hais_spread",
        settings=(("retrained_nll_hais_seeds", " seeds"), ("retrained_nll_hais_settings", "")),
    ),
    _Figure("HAIS gap", "hais_gap", "hais_gap_images", "hais_gap_error", settings=(("hais_gap_settings", ""),)),
)


_MOST_NAMED = 8
_OWN_AND_RETRAINED = ("", "retrained_")
"""In front of the names of fields that both kinds of figures have."""


def leaderboard_table(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None = None) -> TextTable:
    """Return the ranked leaderboard as text; figures that no trial has are left out.

    Each column of figures says on how many images they rest: in its header if all rest on as many, else in each cell.

    Args:
        rows: one a trial, in any order.
        parameters: paths of the searched parameters, in the order of their columns; None: those in the rows, sorted.
    """
    ordered = ranked(rows)
    paths = searched_parameters(ordered, parameters)
    figures = [figure for figure in _FIGURES if any(getattr(row, figure.value) is not None for row in ordered)]
    unequal = {figure.value: _unequal(figure, ordered) for figure in figures}
    timed = any(row.seconds_per_epoch is not None for row in ordered)
    first = ("rank", "trial", "status", *paths, "epochs")
    last = ("parameters", *(["s/epoch"] if timed else []), "seconds")
    body = [
        (
            "-" if row.rank is None else str(row.rank),
            row.trial,
            row.status,
            *(value_text(row.parameters.get(path)) for path in paths),
            str(row.epochs),
            *(_cell(figure, row, unequal[figure.value]) for figure in figures),
            "-" if row.parameters_count is None else f"{row.parameters_count:,}",
            *([_seconds_per_epoch(row)] if timed else []),
            "-" if row.seconds is None else f"{row.seconds:,.0f}",
        )
        for row in ordered
    ]
    return TextTable(
        header=(*first, *(_title(figure, ordered) for figure in figures), *last),
        rows=tuple(body),
        notes=_notes(ordered),
        untrusted=tuple(
            (*[None] * len(first), *(_untrusted(figure, row) for figure in figures), *[None] * len(last))
            for row in ordered
        ),
    )


def searched_parameters(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None) -> tuple[str, ...]:
    """Return the paths of parameter columns: those given, then any others that the rows have, sorted."""
    given = tuple(parameters or ())
    return (*given, *sorted({path for row in rows for path in row.parameters} - set(given)))


def _image_counts(figure: _Figure, rows: Iterable[LeaderboardRow]) -> set[int]:
    return {getattr(row, figure.images) for row in rows if getattr(row, figure.value) is not None} - {None}


def _title(figure: _Figure, rows: Iterable[LeaderboardRow]) -> str:
    counts = _image_counts(figure, rows)
    return f"{figure.title} ({counts.pop():,} images)" if len(counts) == 1 else figure.title


def _cell(figure: _Figure, row: LeaderboardRow, unequal: _Unequal) -> str:
    value = getattr(row, figure.value)
    if value is None:
        return "-"
    text = f"{value:.2f}" if math.isfinite(value) else str(value)
    error = getattr(row, figure.error) if figure.error else None
    if error is not None:
        text += f" ± {error:.2f}"
    if untrusted := _untrusted(figure, row):
        text += f", {untrusted:.0%} untrusted"
    if details := _details(figure, row, unequal):
        text += f" ({', '.join(details)})"
    return text


def _untrusted(figure: _Figure, row: LeaderboardRow) -> float | None:
    """The share of untrusted images that a cell tells of."""
    return None if figure.untrusted is None else getattr(row, figure.untrusted)


def _seconds_per_epoch(row: LeaderboardRow) -> str:
    """Text of the cost of an epoch; a star marks the Pareto front."""
    return "-" if row.seconds_per_epoch is None else f"{row.seconds_per_epoch:.3g}{' *' if row.pareto else ''}"


def _unequal(figure: _Figure, rows: Sequence[LeaderboardRow]) -> _Unequal:
    return _Unequal(
        images=len(_image_counts(figure, rows)) > 1,
        settings=tuple((name, unit) for name, unit in figure.settings if len(_different(rows, name)) > 1),
    )


def _different(rows: Iterable[LeaderboardRow], name: str) -> set[Any]:
    """The values of a field, those that are there."""
    return {getattr(row, name) for row in rows} - {None}


def _details(figure: _Figure, row: LeaderboardRow, unequal: _Unequal) -> list[str]:
    """What tells a figure from others of its column that were measured otherwise."""
    details = []
    if unequal.images and (images := getattr(row, figure.images)) is not None:
        details.append(f"{images:,} images")
    settings = ((getattr(row, name), unit) for name, unit in unequal.settings)
    return [*details, *(f"{value:,}{unit}" if isinstance(value, int) else f"{value}{unit}" for value, unit in settings)]


def _notes(rows: Sequence[LeaderboardRow]) -> tuple[str, ...]:
    """Return what the table cannot say in its cells."""
    notes = ["Nats per image, smaller is better. Ranked by the validation bound alone, among completed trials."]
    notes += doubts(rows)
    samples, again = (
        " or ".join(f"{count:,}" for count in sorted(_different(rows, f"{prefix}nll_importance_sampling_samples")))
        for prefix in _OWN_AND_RETRAINED
    )
    if samples or again:
        notes.append(f"IS: importance sampling, {samples or again} samples an image{_otherwise(samples, again)}.")
    settings, again = (
        "; or ".join(sorted(_different(rows, f"{prefix}nll_hais_settings"))) for prefix in _OWN_AND_RETRAINED
    )
    if settings or again:
        notes.append(f"HAIS: {settings or again}{_otherwise(settings, again)}.")
    if any(row.nll_importance_sampling_on_hais_images is not None for row in rows):
        notes.append("Compare HAIS with IS beside HAIS: both are of the same images.")
    if any(row.seconds_per_epoch is not None for row in rows):
        notes.append("s/epoch: median by the wall clock, beside whatever else ran.")
    if any(row.pareto for row in rows):
        notes.append("*: no trial has both a lower validation bound and faster epochs (the Pareto front).")
    if seeds := _retrained_seeds(rows):
        notes.append(f"Retrained: mean over {seeds}, ± the standard deviation of one seed's figure.")
    if measured := [row for row in rows if row.hais_gap is not None]:
        notes.append(_gap_note(measured))
    errors = ("test_negative_elbo_error", "nll_importance_sampling_error", "nll_hais_error")
    if any(getattr(row, error) is not None for row in rows for error in errors):
        notes.append("±: standard error over images.")
        notes.append(
            "The validation bound has no ±. On the same images trials differ by less than one would say; compare tells "
            "by how much on test images."
        )
    return tuple(notes)


def doubts(rows: Sequence[LeaderboardRow]) -> list[str]:
    """What speaks against the bounds of some trials, and what to do."""
    bounded = [row for row in rows if row.validation_negative_elbo is not None]
    unsettled = [row for row in bounded if is_unsettled(row.settling)]
    apart = [
        row
        for row in bounded
        if row not in unsettled and are_apart(row.train_negative_elbo, row.validation_negative_elbo)
    ]
    found = []
    if unsettled:
        least = min(row.settling or 0.0 for row in unsettled)
        found.append(
            f"{_named(unsettled)}: moving averages of batch norm that have not settled (momentum x steps below "
            f"{SETTLED:g}, from {least:.2g}), so their figures are far too high: take a larger "
            "model.batch_norm_momentum, or train longer."
        )
    if apart:
        found.append(
            f"{_named(apart)}: the validation bound is more than {APART:g} times the training bound: moving averages "
            "of batch norm that lag behind (take a larger model.batch_norm_momentum), or a model that overfits (take "
            "smaller networks, or fewer epochs)."
        )
    return found


def _named(rows: Sequence[LeaderboardRow]) -> str:
    others = len(rows) - _MOST_NAMED
    return ", ".join(row.trial for row in rows[:_MOST_NAMED]) + (f" and {others:,} others" if others > 0 else "")


def _gap_note(measured: Sequence[LeaderboardRow]) -> str:
    """What the gaps are, and of which HAIS, where that is not the HAIS of the figure beside them."""
    settings = "; or ".join(sorted(_different(measured, "hais_gap_settings")))
    beside = [row for row in measured if row.hais_gap_settings is not None and row.nll_hais_settings is not None]
    others = [row.trial for row in beside if row.hais_gap_settings != row.nll_hais_settings]
    note = f"HAIS gap: {settings}" if settings else "HAIS gap"
    if others:
        whose = "the HAIS figure" if len(others) == len(beside) else f"the HAIS figure of {', '.join(others)}"
        note += f" (not the settings of {whose})"
    return f"{note}: upper minus lower bound on images simulated from the model: bounds in expectation."


def _otherwise(own: str, retrained: str) -> str:
    """How retrained figures were made, where that is not how the others were."""
    return f"; retrained: {retrained}" if own and retrained and own != retrained else ""


def _retrained_seeds(rows: Sequence[LeaderboardRow]) -> str:
    """Over how many seeds the retrained figures are means; empty without any. Where rows differ, their cells say it."""
    counts = {
        "IS": {row.retrained_nll_importance_sampling_seeds or 0 for row in rows} - {0},
        "HAIS": {row.retrained_nll_hais_seeds or 0 for row in rows} - {0},
    }
    texts = {name: f"{' or '.join(map(str, sorted(found)))} seeds" for name, found in counts.items() if found}
    if len(set(texts.values())) > 1:
        return " and ".join(f"{text} ({name})" for name, text in texts.items())
    return next(iter(texts.values()), "")
