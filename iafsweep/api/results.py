"""What a sweep came to, written and compared, without Ray or PyTorch: `export`, `compare`, `report`."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from iafsweep.atomic import is_standard_output, write_text, writing
from iafsweep.errors import UserError
from iafsweep.leaderboard import ranked
from iafsweep.records import Evaluation, PairedDifference, shown_figures
from iafsweep.results.comparison import LeftOut, compare_images, told_apart
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.results.publish import Published, publish
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.scoring.selection import best_trials
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep, read_sweep


def export(folder: Path, csv: Path | None = None, show: Sequence[str] = (), *, optuna: Path | None = None) -> Published:
    """Write the leaderboard of a sweep from what is on disk: CSV, Markdown, the best configuration.

    Args:
        folder: the sweep folder.
        csv: where to write the CSV, which is all that is written then; None: in the sweep folder.
        show: settings of the test figures to show, see :meth:`~iafsweep.records.Estimate.is_shown`.
        optuna: where to write the sweep as an Optuna journal too, for optuna-dashboard.

    Raises:
        SweepError, ConfigError: the folder holds no sweep that can be read.
        UserError: a file cannot be written, the CSV would be one of the sweep's own, or no figure was measured with the
            settings to show.
    """
    sweep = SweepFolder(folder)
    if csv is not None and csv.resolve() == sweep.leaderboard_csv.resolve():
        csv = None
    if csv is not None:
        _refuse_ours(sweep, csv, "--csv", sweep.leaderboard_csv.name)
    if optuna is not None:
        _refuse_ours(sweep, optuna, "--optuna", "optuna.journal")
    stored = read_sweep(sweep)
    if optuna is not None:
        _write_journal(stored, optuna)
    try:
        return publish(stored, csv, show)
    except OSError as error:
        raise _not_written("the leaderboard", csv, error) from error


def _write_journal(sweep: StoredSweep, to: Path) -> None:
    from iafsweep.results.optuna_journal import write_journal

    try:
        with TemporaryDirectory() as scratch:  # Optuna writes a lock beside it
            written = Path(scratch) / "journal"
            write_journal(sweep, written)
            write_text(to, written.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot write {to}: {error}; free some room, or name another place") from error


@dataclass(frozen=True)
class ComparedTrials:
    """Trials beside the first of them, image by image.

    Attributes:
        first: its name.
        differences: how the others' figures differ from its.
        left_out: pairs of figures that were made with different settings.
        problems: what could not be read of the sweep's figures, a sentence each.
    """

    first: str
    differences: tuple[PairedDifference, ...]
    left_out: tuple[LeftOut, ...]
    problems: tuple[str, ...]


def compare(
    folder: Path,
    trials: Sequence[str] = (),
    csv: Path | None = None,
    show: Sequence[str] = (),
) -> ComparedTrials:
    """Compare scored trials with the first of them.

    Args:
        folder: the sweep folder.
        trials: names; none: every trial with figures, in the order of the leaderboard.
        csv: where to write the differences too.
        show: settings of the figures to compare; of methods without any those of all that both were scored with.

    Raises:
        SweepError: there is no such trial.
        UserError: a trial has no figures, there are fewer than two, or the CSV cannot be written
            or would be written into the sweep folder.
    """
    stored = read_sweep(SweepFolder(folder))
    sweep = stored.folder
    if csv is not None:
        _refuse_ours(sweep, csv, "--csv", "differences.csv")
    scored = scored_rows(stored, show)
    rows = ranked(scored.rows)
    for trial in trials:
        sweep.refuse_unknown(trial, sorted(row.trial for row in rows))
    chosen = trials or [row.trial for row in rows if RunFolder(sweep.trial(row.trial)).per_image.exists()]
    if len(set(chosen)) < 2:
        more = "name another one, or none for all" if trials else _more_to_compare(stored)
        named = ", ".join(chosen) or "none"
        raise UserError(f"a comparison needs at least two different scored trials, got {named}; {more}")
    ended = {row.trial: row.status for row in rows}
    tables = {trial: _images_of(sweep, trial, ended[trial]) for trial in chosen}
    if show:
        tables = {trial: _only_shown(table, scored.evaluations.get(trial), show) for trial, table in tables.items()}
    first, *others = tables
    found = [compare_images(tables[other], tables[first], other, first) for other in others]
    apart = {row.trial for row in rows if row.autoregressive}
    differences = tuple(told_apart(difference, apart) for each in found for difference in each.differences)
    if csv is not None:
        try:
            with writing(csv) as temporary:
                records = [each.model_dump() for each in differences]
                pd.DataFrame(records, columns=list(PairedDifference.model_fields)).to_csv(temporary, index=False)
        except OSError as error:
            raise _not_written(str(csv), csv, error) from error
    return ComparedTrials(first, differences, tuple(each for one in found for each in one.left_out), scored.problems)


def report(
    folder: Path, command: Sequence[str], show: Sequence[str] = (), *, to: Path | None = None, follow: bool = False
) -> Iterator[Path]:
    """Write ``report.html`` into a sweep folder and yield its path; once, or again whenever the sweep has gone on.

    Args:
        folder: the sweep folder; the sweep may be running, interrupted or without a single good trial.
        command: the words that make the report again.
        show: settings of the test figures to show.
        to: where to write the page; None: into the sweep folder.
        follow: write it again whenever a file of the sweep has changed, until no driver is at work on it.

    Raises:
        SweepError, ConfigError: the folder holds no sweep that can be read.
        UserError: the page cannot be written.
    """
    from iafsweep.report import changes, write_report

    if to is not None:
        _refuse_ours(SweepFolder(folder), to, "--to", "report.html")
    for sweep in changes(folder) if follow else [read_sweep(SweepFolder(folder))]:
        try:
            yield write_report(sweep, command, show, to)
        except OSError as error:
            raise UserError(
                f"cannot write the report: {error}; free some room, or name another place with --to"
            ) from error


def served_report(folder: Path, command: Sequence[str], show: Sequence[str] = ()) -> AbstractContextManager[str]:
    """Serve the report to this machine alone, renewed as the sweep goes on: ``iafsweep.report.serve.served``."""
    from iafsweep.report.serve import served

    return served(folder, command, show)


@dataclass(frozen=True)
class SweepResults:
    """What a sweep leaves for people.

    Attributes:
        folder: the sweep folder.
        leaderboard: what was published of it.
        report: where the report is; None if it could not be written.
        fault: why not.
    """

    folder: SweepFolder
    leaderboard: Published
    report: Path | None
    fault: str = ""


def publish_results(sweep: StoredSweep, command: Sequence[str]) -> SweepResults:
    """Write leaderboard and report of a sweep that is at an end.

    What goes wrong with the report is said, and never costs a command its end.

    Raises:
        OSError: the leaderboard cannot be written.
    """
    from iafsweep import report

    published = publish(sweep)
    try:
        return SweepResults(sweep.folder, published, report.write_report(sweep, command))
    except Exception as error:  # noqa: BLE001 - the results are on disk already; a picture of them is not worth more
        return SweepResults(sweep.folder, published, None, str(error))


def _refuse_ours(folder: SweepFolder, path: Path, option: str, name: str) -> None:
    """Refuse a file to write that is a folder or one of the sweep's own files, whatever links lead there."""
    if is_standard_output(path):
        return
    folder.refuse_inside(path, option)
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file in it, such as {path / name}")


def _not_written(what: str, csv: Path | None, error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError) and is_standard_output(csv):  # who reads it has gone
        return error
    return UserError(f"cannot write {what}: {error}; name a place where you may write with --csv")


def _more_to_compare(sweep: StoredSweep) -> str:
    """What gives a second trial with figures."""
    if sweep.driver is not None:
        return f"compare again later: a driver is at work on the sweep ({sweep.driver})"
    if (there := len(best_trials(sweep.state, 2))) < 2:  # noqa: PLR2004 - of a pair
        return f"only trials that have completed are scored, and of the sweep's these are {there}"
    return f"score more: {sweep_command('rerun', sweep.folder.path, '--top', 2)}"


def _images_of(sweep: SweepFolder, trial: str, status: str) -> pd.DataFrame:
    path = RunFolder(sweep.trial(trial)).per_image
    rerun = sweep_command("rerun", sweep.path, "--trial", trial)
    try:
        if status != "completed" and not path.exists():
            raise UserError(f"{trial} has no figures and gets none: only trials that have completed are scored")
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{trial} has no figures of each image ({path} is missing); score it first: {rerun}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}; score the trial again: {rerun}") from error
    if "settings" not in table:
        raise UserError(
            f"{path} does not say with which settings {trial} was scored, an earlier version wrote it; score the trial "
            f"again, which takes what is there: {rerun}"
        )
    return table


def _only_shown(images: pd.DataFrame, evaluation: Evaluation | None, show: Sequence[str]) -> pd.DataFrame:
    """The rows of the figures that the leaderboard shows."""
    figures = () if evaluation is None else shown_figures(evaluation.estimates, show).values()
    keys = {(each.method, each.split, each.settings) for each in figures}
    return images[[key in keys for key in zip(images["method"], images["split"], images["settings"], strict=True)]]
