"""`run_sweep.py compare`."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.sweep import Folder, Show, is_trial, trials_or_sweeps
from iafsweep.records import (
    FIGURE_NAMES,
    METHOD_NAMES,
    PairedDifference,
    TextTable,
    details_of,
    details_text,
    nats_text,
)
from iafsweep.shown_command import sweep_command
from iafsweep.texts import counted, readable_settings

if TYPE_CHECKING:
    from iafsweep.api.results import ComparedTrials
    from iafsweep.results.comparison import LeftOut
    from iafsweep.results.several import Several

Place = Callable[[str], tuple[Path, str]]
"""Returns the sweep folder of a displayed trial, and the trial's own name there."""


def compare(
    folder: Folder,
    trials: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIAL|FOLDER]...",
            help="Trials to compare with the first of them; default: all with figures. To compare sweeps over the same "
            "images, add sweep folders, each optionally followed by trials.",
            autocompletion=trials_or_sweeps,
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write the differences to this CSV file; `-`: only to standard output.")
    ] = None,
    show: Show = None,
) -> None:
    """Compare scored trials image by image: differences have far smaller errors than the figures themselves.

    - `run_sweep.py compare runs/quick-1 t0003 t0007` compares two trials
    - `run_sweep.py compare runs/quick-1 runs/quick-2` also tells which sweep has the best trial
    """
    named = _by_folder(folder, trials or [])
    if len(named) > 1:
        compare_folders(named, csv, make_console(csv), show or [])
    else:
        compare_trials(folder, trials or [], csv, make_console(csv), show or [])


def _by_folder(folder: Path, words: Sequence[str]) -> list[tuple[Path, list[str]]]:
    """Return each sweep folder given, with the trials that follow it."""
    found: list[tuple[Path, list[str]]] = [(folder, [])]
    for word in words:
        if not is_trial(word) and (os.sep in word or os.path.exists(os.path.join(word, "sweep.toml"))):
            found.append((Path(word), []))
        else:
            found[-1][1].append(word)
    return found


def compare_trials(
    folder: Path, trials: list[str], csv: Path | None, console: Console, show: Sequence[str] = ()
) -> None:
    """Print how the figures of scored trials differ from those of the first; also write ``csv`` if it is given."""
    with loading("the sweep"):
        from iafsweep.api.results import compare

        found = compare(folder, trials, csv, show)
    _print_compared(console, found, lambda trial: (folder.absolute(), trial), csv)


def compare_folders(
    named: Sequence[tuple[Path, Sequence[str]]], csv: Path | None, console: Console, show: Sequence[str] = ()
) -> None:
    """Print which of several sweeps has the best trial, and how the figures of their trials differ."""
    with loading("the sweeps"):
        from iafsweep.api.several import compare_several
        from iafsweep.results.several import read_several

        several = read_several([path for path, _ in named], show)
        found = compare_several(several, named, csv, show)
    for line in best_lines(several):
        say(console, line)
    if several.bests and not any(trials for _, trials in named):
        (whose, best), *_ = several.bests.items()
        if found.first != best.trial:
            line = f"{best.trial} has no per-image figures; differences are from {found.first}, the best that has them"
            sweep, own = several.place(best.trial)
            if sweep.driver is None and whose not in found.unscored:
                line += f"; to score it: {sweep_command('rerun', sweep.folder.path, '--trial', own)}"
            say(console, line)

    def place(trial: str) -> tuple[Path, str]:
        sweep, own = several.place(trial)
        return sweep.folder.path, own

    _print_compared(console, found, place, csv)
    for line in found.unscored.values():
        say(console, line, "yellow")
    for line in several.notes:
        say(console, line, "dim")


def best_lines(several: Several) -> Iterator[str]:
    """Yield lines on the best trial of all sweeps, then on the best of each."""
    counts = f"{counted(len(several.rows), 'trial')} in {counted(len(several.sweeps), 'sweep')}"
    bests = several.bests
    bounds = {name: row.validation_negative_elbo or math.nan for name, row in bests.items()}
    for name, row in bests.items():
        words = details_text(details_of(None, autoregressive=row.autoregressive))
        nats = f"{nats_text(bounds[name], row.dimensions)}{words}"
        if row.rank == 1:
            images = "" if row.validation_images is None else f" on {row.validation_images:,} images"
            yield f"best of {counts} by the validation bound{images}: {row.trial}, {nats}"
        else:
            yield f"best of {name}: {row.trial}, {nats}, {bounds[name] - min(bounds.values()):.2f} nats above"
    for name in several.sweeps.keys() - bests.keys():
        yield f"best of {name}: none, no trial has completed with a finite bound"


def _print_compared(console: Console, found: ComparedTrials, place: Place, csv: Path | None) -> None:
    """Print differences and the pairs left out; ``place`` returns the sweep folder and the own name of a trial."""
    from iafsweep.cli import tables

    if found.differences or not found.left_out:
        tables.print_table(console, differences_table(found.differences, found.first), [], keys=1)
    if found.problems:
        whence = "Differences come from per_image.parquet. Problems with figures that only the leaderboard shows:"
        for line in (whence, *found.problems):
            say(console, line, "yellow")
    for each in found.left_out:
        say(console, _not_compared(each))
    for command in _score_alike(found.left_out, place):
        say(console, f"To compare them, score them with the same settings: {command}")
    if csv is not None:
        say(console, f"CSV: {csv}")


def _not_compared(each: LeftOut) -> str:
    name = METHOD_NAMES[each.method]
    first, second = (
        ", ".join(map(readable_settings, one.split(", "))) for one in (each.first_settings, each.second_settings)
    )
    return f"{each.first} and {each.second}: {name} {first} against {second}: not compared"


def _score_alike(left_out: Sequence[LeftOut], place: Place) -> Iterator[str]:
    """Yield for each sweep the command that scores its trials with the settings of the trial they are compared with."""
    settings = list[str]()
    for each in sorted({each.second_settings.split(", ")[0] for each in left_out if each.method != "negative_elbo"}):
        name, *said = each.split(" ")
        if said[0].startswith("sample"):
            settings += ["--samples", name]
        else:
            settings += ["--hais", f"{name}:{said[0]}"]
            settings += [word for one in said[1:] for word in ("--set", f"evaluation.hais.{one}")]
    trials = defaultdict[Path, list[str]](list)
    for folder, trial in map(
        place, sorted({each.second for each in left_out}) + sorted({each.first for each in left_out})
    ):
        trials[folder].append(trial)
    others = {place(each.first)[0] for each in left_out}
    for folder in (each for each in trials if each in others):
        options = [word for trial in trials[folder] for word in ("--trial", trial)]
        yield sweep_command("rerun", folder, *options, *settings)


def differences_table(differences: tuple[PairedDifference, ...], first: str) -> TextTable:
    """Return a table of differences from the trial ``first``, one per row."""
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
            "Test figures do not affect the ranking, which uses validation images.",
        ),
    )
