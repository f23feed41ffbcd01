"""The leaderboard as a table for people: the main figures with their errors, image counts and settings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from iafsweep.leaderboard.ranking import ranked
from iafsweep.leaderboard.winners_curse import curse_note
from iafsweep.records import AUTOREGRESSIVE, Figure, FigureCell, LeaderboardRow, TextTable
from iafsweep.records.trust import APART, SETTLED, are_apart, is_unsettled
from iafsweep.texts import readable_settings, value_text

_FigureOf = Callable[[LeaderboardRow], Figure | None]


def _validation(row: LeaderboardRow) -> Figure | None:
    bound = row.validation_negative_elbo
    if bound is None:
        return None
    alike = row.model_dump(include={"dimensions", "autoregressive"})
    return Figure(value=bound, images=row.validation_images, **alike)


def _retrained_sampled(row: LeaderboardRow) -> Figure | None:
    return None if row.retrained is None else row.retrained.nll_importance_sampling


def _retrained_hais(row: LeaderboardRow) -> Figure | None:
    return None if row.retrained is None else row.retrained.nll_hais


_FIGURES: tuple[tuple[str, _FigureOf], ...] = (
    ("validation -ELBO", _validation),
    ("test -ELBO", lambda row: row.test_negative_elbo),
    ("test NLL, IS", lambda row: row.nll_importance_sampling),
    ("test NLL, HAIS", lambda row: row.nll_hais),
    ("test NLL, IS beside HAIS", lambda row: row.nll_importance_sampling_on_hais_images),
    ("retrained test NLL, IS", _retrained_sampled),
    ("retrained test NLL, HAIS", _retrained_hais),
    ("HAIS gap", lambda row: row.hais_gap),
)


_MOST_NAMED = 8


@dataclass(frozen=True)
class _Column:
    """A column of figures, one per row; they may differ in their numbers of images and seeds and in their settings."""

    title: str
    figures: tuple[Figure | None, ...]

    @property
    def header(self) -> str:
        images = self._different("images")
        return f"{self.title} ({images.pop():,} images)" if len(images) == 1 else self.title

    def cells(self) -> list[str | FigureCell]:
        unequal = [name for name in ("images", "seeds", "settings") if len(self._different(name)) > 1]
        return ["-" if each is None else _cell(each, unequal) for each in self.figures]

    def _different(self, name: str) -> set[object]:
        return {getattr(each, name) for each in self.figures if each is not None} - {None}


def leaderboard_table(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None = None) -> TextTable:
    """Return the ranked leaderboard as text; figures that no trial has are left out.

    Each column of figures tells the number of images: in its header if it is the same for all rows, else in each cell.

    Args:
        rows: one per trial, in any order.
        parameters: paths of the searched parameters, in the order of their columns; None: those in the rows, sorted.
    """
    ordered = ranked(rows)
    paths = searched_parameters(ordered, parameters)
    columns = [_Column(title, tuple(map(figure, ordered))) for title, figure in _FIGURES]
    columns = [column for column in columns if any(column.figures)]
    told = any(row.autoregressive for row in ordered)
    timed = any(row.seconds_per_epoch is not None for row in ordered)
    body = [
        (
            "-" if row.rank is None else str(row.rank),
            row.trial,
            row.status,
            *(value_text(row.parameters.get(path)) for path in paths),
            str(row.epochs),
            *figures,
            *([str(row.latents or "-")] if told else []),
            "-" if row.training is None or row.training.parameters is None else f"{row.training.parameters:,}",
            *([_seconds_per_epoch(row)] if timed else []),
            "-" if row.training is None else f"{row.training.seconds:,.0f}",
        )
        for row, *figures in zip(ordered, *(column.cells() for column in columns), strict=True)
    ]
    last = (*(["latent variables"] if told else []), "parameters", *(["s/epoch"] if timed else []), "seconds")
    return TextTable(
        header=("rank", "trial", "status", *paths, "epochs", *(column.header for column in columns), *last),
        rows=tuple(body),
        notes=_notes(ordered),
    )


def searched_parameters(rows: Iterable[LeaderboardRow], parameters: Sequence[str] | None) -> tuple[str, ...]:
    """Return the paths of the parameter columns: those given, then any others in the rows, sorted."""
    given = tuple(parameters or ())
    return (*given, *sorted({path for row in rows for path in row.parameters} - set(given)))


def _cell(figure: Figure, unequal: Sequence[str]) -> FigureCell:
    """Return a figure with the details in which it differs from others of its column."""
    said = {
        "images": figure.images and f"{figure.images:,} images",
        "seeds": figure.seeds and f"{figure.seeds:,} seeds",
        "settings": figure.settings and readable_settings(figure.settings),
    }
    details = (*figure.details, *(text for name in unequal if (text := said[name])))
    return FigureCell(value=figure.value, error=figure.error, untrusted=figure.untrusted, details=details)


def _seconds_per_epoch(row: LeaderboardRow) -> str:
    return "-" if row.seconds_per_epoch is None else f"{row.seconds_per_epoch:.3g}{' *' if row.pareto else ''}"


def _known(rows: Iterable[LeaderboardRow], figure: _FigureOf) -> list[Figure]:
    return [found for row in rows if (found := figure(row)) is not None]


def _notes(rows: Sequence[LeaderboardRow]) -> tuple[str, ...]:
    """Return the notes below the table."""
    notes = ["Nats per image; smaller is better. Completed trials are ranked by the validation bound alone."]
    notes += doubts(rows)
    if any(row.autoregressive for row in rows):
        notes.append(
            f"{AUTOREGRESSIVE.capitalize()}: each pixel also depends on earlier pixels, so do not compare these "
            "figures with those of other decoders. Where the latent variables carry almost none of the bound, the "
            "posterior has collapsed."
        )
    sampled, annealed = _known(rows, lambda row: row.nll_importance_sampling), _known(rows, lambda row: row.nll_hais)
    resampled, reannealed = _known(rows, _retrained_sampled), _known(rows, _retrained_hais)
    if sampled or resampled:
        own, again = _samples(sampled), _samples(resampled)
        notes.append(f"IS: importance sampling, {own or again} samples per image{_otherwise(own, again)}.")
    if annealed or reannealed:
        own, again = _settings(annealed), _settings(reannealed)
        notes.append(
            f"HAIS: Hamiltonian annealed importance sampling, {own or again}{_otherwise(own, again)} (start, "
            "temperatures x leapfrog steps x chains)."
        )
    if any(row.nll_importance_sampling_on_hais_images is not None for row in rows):
        notes.append("To compare HAIS with IS, take the column IS beside HAIS: it covers the same images.")
    if any(row.seconds_per_epoch is not None for row in rows):
        notes.append("s/epoch: median wall-clock seconds per epoch; other work on the machine slows them down.")
    if any(row.pareto for row in rows):
        notes.append("*: no trial has both a lower validation bound and faster epochs (the Pareto front).")
    if seeds := _retrained_seeds({"IS": resampled, "HAIS": reannealed}):
        notes.append(f"Retrained: mean over {seeds}; ± is the standard deviation across seeds.")
    if any(row.hais_gap is not None for row in rows):
        notes.append(_gap_note([row for row in rows if row.hais_gap is not None]))
    bounds = _known(rows, lambda row: row.test_negative_elbo)
    if any(each.error is not None for each in (*bounds, *sampled, *annealed)):
        notes.append("±: standard error over images.")
        notes.append(
            "The validation bound has no ±: trials share its images, so their differences are more certain than such "
            "an error would suggest. The command compare shows the differences on test images, with their errors."
        )
    return (*notes, *filter(None, [curse_note(rows)]))


def doubts(rows: Sequence[LeaderboardRow]) -> list[str]:
    """Return reasons to doubt the bounds of some trials, and what to do."""
    bounded = [row for row in rows if row.validation_negative_elbo is not None]
    unsettled = [row for row in bounded if is_unsettled(row.settling)]
    settled = [row for row in bounded if not is_unsettled(row.settling)]
    apart = [row for row in settled if are_apart(row.train_negative_elbo, row.validation_negative_elbo)]
    found = []
    if unsettled:
        least = min(row.settling or 0.0 for row in unsettled)
        found.append(
            f"{_named(unsettled)}: the moving averages of batch norm have not settled (momentum x steps is below "
            f"{SETTLED:g}, at lowest {least:.2g}), so the figures are far too high. Use a larger "
            "model.batch_norm_momentum, or train longer."
        )
    if apart:
        found.append(
            f"{_named(apart)}: the validation bound is more than {APART:g} times the training bound. Either the moving "
            "averages of batch norm lag behind (use a larger model.batch_norm_momentum), or the model overfits (use "
            "smaller networks or fewer epochs)."
        )
    return found


def _named(rows: Sequence[LeaderboardRow]) -> str:
    others = len(rows) - _MOST_NAMED
    return ", ".join(row.trial for row in rows[:_MOST_NAMED]) + (f" and {others:,} others" if others > 0 else "")


def _samples(figures: Iterable[Figure]) -> str:
    return " or ".join(f"{count:,}" for count in sorted({each.samples for each in figures if each.samples}))


def _settings(figures: Iterable[Figure]) -> str:
    return "; or ".join(sorted({each.settings for each in figures if each.settings}))


def _gap_note(measured: Sequence[LeaderboardRow]) -> str:
    """Return a note on what the gaps are and, where the HAIS figure has other settings, on their settings."""
    beside = [(row.trial, row.hais_gap, row.nll_hais) for row in measured if row.hais_gap and row.nll_hais]
    others = [trial for trial, gap, hais in beside if gap.settings != hais.settings]
    note = f"HAIS gap: {_settings(_known(measured, lambda row: row.hais_gap))}"
    if others:
        whose = "the HAIS figure" if len(others) == len(beside) else f"the HAIS figure of {', '.join(others)}"
        note += f" (not the settings of {whose})"
    return (
        f"{note}. It is the upper minus the lower bound on images simulated from the model; both hold in expectation."
    )


def _otherwise(own: str, retrained: str) -> str:
    """Return how retrained figures were measured if the others were measured differently, else nothing."""
    return f"; retrained: {retrained}" if own and retrained and own != retrained else ""


def _retrained_seeds(figures: dict[str, list[Figure]]) -> str:
    """Return the number of seeds behind the retrained means, empty without any; where rows differ, their cells tell."""
    counts = {name: sorted({each.seeds for each in found if each.seeds}) for name, found in figures.items()}
    texts = {name: f"{' or '.join(map(str, found))} seeds" for name, found in counts.items() if found}
    if len(set(texts.values())) > 1:
        return " and ".join(f"{text} ({name})" for name, text in texts.items())
    return next(iter(texts.values()), "")
