"""The work behind `run_sweep.py compare`: trials beside each other, image by image."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console

from iafsweep.atomic import is_standard_output, writing
from iafsweep.cli.command_line import program
from iafsweep.cli.tables import print_table, refuse_csv
from iafsweep.errors import UserError
from iafsweep.leaderboard import ranked
from iafsweep.records import FIGURE_NAMES, METHOD_NAMES, Evaluation, PairedDifference, TextTable, shown_figures
from iafsweep.results.comparison import LeftOut, compare_images
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.texts import readable_settings


def compare_trials(
    folder: Path, trials: list[str], csv: Path | None, console: Console, show: Sequence[str] = ()
) -> None:
    """Print how the figures of scored trials differ from those of the first of them.

    Args:
        folder: the sweep folder.
        trials: names; none: every trial with figures, in the order of the leaderboard.
        csv: where to write the differences too.
        console: where to print.
        show: settings of the figures to compare; of methods without any those of all that both were scored with.

    Raises:
        SweepError: there is no such trial.
        UserError: a trial has no figures, there are fewer than two, or the CSV cannot be written
            or would be written into the sweep folder.
    """
    stored = read_sweep(SweepFolder(folder))
    sweep, driver = stored.folder, stored.driver
    if csv is not None:
        refuse_csv(sweep, csv, "differences.csv")
    scored = scored_rows(stored, show)
    rows = ranked(scored.rows)
    for trial in trials:
        sweep.refuse_unknown(trial, sorted(row.trial for row in rows))
    chosen = trials or [row.trial for row in rows if RunFolder(sweep.trial(row.trial)).per_image.exists()]
    if len(set(chosen)) < 2:
        raise UserError(
            f"a comparison needs at least two different scored trials, got {', '.join(chosen) or 'none'}; "
            f"{_more(sweep, driver, named=bool(trials))}"
        )
    tables = {trial: _images_of(sweep, trial) for trial in chosen}
    if show:
        tables = {trial: _only_shown(table, scored.evaluations.get(trial), show) for trial, table in tables.items()}
    first, *others = tables
    found = [compare_images(tables[other], tables[first], other, first) for other in others]
    differences = [difference for each in found for difference in each.differences]
    left_out = [each for comparison in found for each in comparison.left_out]
    if csv is not None:
        _write(csv, differences)
    if differences or not left_out:
        print_table(console, _text(differences, first), [], keys=1)
    if scored.problems:
        whence = (
            "Differences come from per_image.parquet, image by image. Of the figures that only the leaderboard shows:"
        )
        for line in (whence, *scored.problems):
            console.print(line, markup=False, style="yellow", soft_wrap=True)
    for each in left_out:
        console.print(_not_compared(each), markup=False, soft_wrap=True)
    if left_out:
        console.print(
            f"To compare them, score them with the same settings: {_score_alike(sweep.path, left_out)}",
            markup=False,
            soft_wrap=True,
        )
    if csv is not None:
        console.print(f"CSV: {csv}", markup=False, soft_wrap=True)


def _images_of(sweep: SweepFolder, trial: str) -> pd.DataFrame:
    path, again = RunFolder(sweep.trial(trial)).per_image, _rerun(sweep.path, "--trial", trial)
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{trial} has no figures of each image ({path} is missing); score it first: {again}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}; score the trial again: {again}") from error
    if "settings" not in table:
        raise UserError(
            f"{path} does not say with which settings {trial} was scored, an earlier version wrote it; score the trial "
            f"again, which takes what is there: {again}"
        )
    return table


def _only_shown(images: pd.DataFrame, evaluation: Evaluation | None, show: Sequence[str]) -> pd.DataFrame:
    """The rows of the figures that the leaderboard shows."""
    figures = () if evaluation is None else shown_figures(evaluation.estimates, show).values()
    keys = {(each.method, each.split, each.settings) for each in figures}
    return images[[key in keys for key in zip(images["method"], images["split"], images["settings"], strict=True)]]


def _not_compared(each: LeftOut) -> str:
    name = METHOD_NAMES[each.method]
    first, second = (
        ", ".join(map(readable_settings, one.split(", "))) for one in (each.first_settings, each.second_settings)
    )
    return f"{each.first} and {each.second}: {name} {first} against {second}: not compared"


def _rerun(folder: Path, *options: str) -> str:
    return shlex.join([*program(), "rerun", str(folder), *options])


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
    return _rerun(folder, *options)


def _text(differences: list[PairedDifference], first: str) -> TextTable:
    settings = defaultdict[str, set[str]](set)
    for each in differences:
        settings[each.method].add(each.settings)
    rows = tuple(
        (
            each.first,
            FIGURE_NAMES[each.method]
            + (f", {readable_settings(each.settings)}" if len(settings[each.method]) > 1 else ""),
            f"{each.images:,}",
            f"{each.difference:+.3f} ± {each.standard_error:.3f}",
            f"{abs(each.difference) / each.standard_error:.1f}" if each.standard_error > 0 else "-",
        )
        for each in differences
    )
    return TextTable(
        header=("trial", "figure", "images", f"nats more than {first}", "standard errors"),
        rows=rows,
        notes=(
            f"Paired over the same test images and bits; negative: better than {first}. ±: standard error.",
            "Test figures choose nothing: the rank is by validation.",
        ),
    )


def _write(csv: Path, differences: list[PairedDifference]) -> None:
    try:
        with writing(csv) as temporary:
            pd.DataFrame(
                [each.model_dump() for each in differences], columns=list(PairedDifference.model_fields)
            ).to_csv(temporary, index=False)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and is_standard_output(csv):  # who reads it has gone
            raise
        raise UserError(f"cannot write {csv}: {error}") from error


def _more(sweep: SweepFolder, driver: str | None, *, named: bool) -> str:
    """Say how to come to two trials."""
    if named:
        return "name another one, or none for all"
    if driver is not None:
        return f"compare again later: a driver is at work on the sweep ({driver})"
    return f"score more: {_rerun(sweep.path)} --top 2"
