"""`run_sweep.py compare`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import make_console, say
from iafsweep.cli.options.sweep import Folder, Show
from iafsweep.cli.options.sweep import trials as known_trials
from iafsweep.config.plugins import plugin_options
from iafsweep.records import FIGURE_NAMES, METHOD_NAMES, PairedDifference, TextTable, details_of, details_text
from iafsweep.shown_command import sweep_command
from iafsweep.texts import readable_settings

if TYPE_CHECKING:
    from iafsweep.results.comparison import LeftOut


def compare(
    folder: Folder,
    trials: Annotated[
        list[str] | None,
        typer.Argument(
            help="Trials to compare with the first of them; default: all with figures.", autocompletion=known_trials
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the differences to this file too; `-`: to standard output alone.")
    ] = None,
    show: Show = None,
) -> None:
    """Compare scored trials image by image: their differences are known far better than their figures.

    Example: `run_sweep.py compare runs/quick-1 t0003 t0007`
    """
    compare_trials(folder, trials or [], csv, make_console(csv), show or [])


def compare_trials(
    folder: Path, trials: list[str], csv: Path | None, console: Console, show: Sequence[str] = ()
) -> None:
    """Print how the figures of scored trials differ from those of the first of them; write ``csv`` if it is given."""
    from iafsweep.api.results import compare
    from iafsweep.cli import tables

    found = compare(folder, trials, csv, show)
    if found.differences or not found.left_out:
        tables.print_table(console, differences_table(found.differences, found.first), [], keys=1)
    if found.problems:
        whence = (
            "Differences come from per_image.parquet, image by image. Of the figures that only the leaderboard shows:"
        )
        for line in (whence, *found.problems):
            say(console, line, "yellow")
    for each in found.left_out:
        say(console, _not_compared(each))
    if found.left_out:
        say(console, f"To compare them, score them with the same settings: {_score_alike(folder, found.left_out)}")
    if csv is not None:
        say(console, f"CSV: {csv}")


def _not_compared(each: LeftOut) -> str:
    name = METHOD_NAMES[each.method]
    first, second = (
        ", ".join(map(readable_settings, one.split(", "))) for one in (each.first_settings, each.second_settings)
    )
    return f"{each.first} and {each.second}: {name} {first} against {second}: not compared"


def _score_alike(folder: Path, left_out: Sequence[LeftOut]) -> str:
    """The command that scores all of them with the settings of the trial that they are compared with."""
    options = [word for trial in sorted({each.second for each in left_out}) for word in ("--trial", trial)]
    options += [word for trial in sorted({each.first for each in left_out}) for word in ("--trial", trial)]
    for settings in sorted(
        {each.second_settings.split(", ")[0] for each in left_out if each.method != "negative_elbo"}
    ):
        name, *said = settings.split(" ")
        if said[0].startswith("sample"):
            options += ["--samples", name]
        else:
            options += ["--hais", f"{name}:{said[0]}"]
            options += [word for each in said[1:] for word in ("--set", f"evaluation.hais.{each}")]
    return sweep_command("rerun", folder.absolute(), *options, *plugin_options())


def differences_table(differences: tuple[PairedDifference, ...], first: str) -> TextTable:
    """Return differences from the trial ``first``, a row each."""
    settings = defaultdict[str, set[str]](set)
    for each in differences:
        settings[each.method].add(each.settings)
    rows = tuple(
        (
            each.first + details_text(details_of(None, autoregressive=each.first_autoregressive)),
            FIGURE_NAMES[each.method]
            + (f", {readable_settings(each.settings)}" if len(settings[each.method]) > 1 else ""),
            f"{each.images:,}",
            f"{each.difference:+.3f} ± {each.standard_error:.3f}",
            f"{abs(each.difference) / each.standard_error:.1f}" if each.standard_error > 0 else "-",
        )
        for each in differences
    )
    of_first = details_of(None, autoregressive=any(each.second_autoregressive for each in differences))
    return TextTable(
        header=("trial", "figure", "images", f"nats more than {first}{details_text(of_first)}", "standard errors"),
        rows=rows,
        notes=(
            f"Paired over the same test images and bits; negative: better than {first}. ±: standard error.",
            "Test figures choose nothing: the rank is by validation.",
        ),
    )
