"""What a sweep came to, written and compared, without Ray or PyTorch: `export`, `compare`, `report`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
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
        refuse_ours(sweep, csv, "--csv", sweep.leaderboard_csv.name)
    if optuna is not None:
        refuse_ours(sweep, optuna, "--optuna", "optuna.journal")
    stored = read_sweep(sweep)
    if optuna is not None:
        _write_journal(stored, optuna)
    try:
        return publish(stored, csv, show)
    except OSError as error:
        raise not_written("the leaderboard", csv, error) from error


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
        unscored: of several sweeps those without a trial to compare, by name, with what helps, a sentence each.
    """

    first: str
    differences: tuple[PairedDifference, ...]
    left_out: tuple[LeftOut, ...]
    problems: tuple[str, ...]
    unscored: Mapping[str, str] = field(default_factory=dict)


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
    if csv is not None:
        refuse_ours(stored.folder, csv, "--csv", "differences.csv")
    scored = scored_rows(stored, show)
    rows = ranked(scored.rows)
    chosen = chosen_trials(stored, trials, [row.trial for row in rows])
    if len(set(chosen)) < 2:
        more = "name another one, or none for all" if trials else more_to_compare(stored, 2)
        raise too_few(chosen, more)
    tables = {trial: images_of(stored, trial, scored.evaluations.get(trial), show) for trial in chosen}
    return compared(tables, csv, scored.problems, {row.trial for row in rows if row.autoregressive})


def chosen_trials(sweep: StoredSweep, trials: Sequence[str], ranks: Sequence[str]) -> list[str]:
    """Return the trials to compare: those that are named, or else all that have figures of each image, best first.

    Raises:
        SweepError: there is no such trial.
    """
    for trial in trials:
        sweep.folder.refuse_unknown(trial, sorted(ranks))
    return list(trials) or [trial for trial in ranks if RunFolder(sweep.folder.trial(trial)).per_image.exists()]


def too_few(chosen: Sequence[str], more: str) -> UserError:
    """Return what to raise of fewer than two trials; ``more`` is what helps."""
    named = ", ".join(chosen) or "none"
    return UserError(f"a comparison needs at least two different scored trials, got {named}; {more}")


def compared(
    tables: Mapping[str, pd.DataFrame], csv: Path | None, problems: tuple[str, ...], autoregressive: Collection[str]
) -> ComparedTrials:
    """Compare trials with the first of them, by their tables of figures of each image; write the differences too.

    ``autoregressive`` names the trials whose decoder is that.

    Raises:
        UserError: they cannot be written.
    """
    first, *others = tables
    found = [compare_images(tables[other], tables[first], other, first) for other in others]
    differences = tuple(told_apart(difference, autoregressive) for each in found for difference in each.differences)
    if csv is not None:
        try:
            with writing(csv) as temporary:
                records = [each.model_dump() for each in differences]
                pd.DataFrame(records, columns=list(PairedDifference.model_fields)).to_csv(temporary, index=False)
        except OSError as error:
            raise not_written(str(csv), csv, error) from error
    return ComparedTrials(first, differences, tuple(each for one in found for each in one.left_out), problems)


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
        refuse_ours(SweepFolder(folder), to, "--to", "report.html")
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


def refuse_ours(folder: SweepFolder, path: Path, option: str, name: str) -> None:
    """Refuse a file to write that is a folder or one of the sweep's own files, whatever links lead there."""
    if is_standard_output(path):
        return
    folder.refuse_inside(path, option)
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file in it, such as {path / name}")


def not_written(what: str, csv: Path | None, error: OSError) -> Exception:
    """Return what to raise where a CSV cannot be written."""
    if isinstance(error, BrokenPipeError) and is_standard_output(csv):  # who reads it has gone
        return error
    return UserError(f"cannot write {what}: {error}; name a place where you may write with --csv")


def more_to_compare(sweep: StoredSweep, wanted: int) -> str:
    """Return what gives a sweep as many trials with figures as are wanted."""
    if sweep.driver is not None:
        return f"compare again later: a driver is at work on the sweep ({sweep.driver})"
    if (there := len(best_trials(sweep.state, wanted))) < wanted:
        return f"only trials that have completed are scored, and of the sweep's these are {there}"
    return f"score more: {sweep_command('rerun', sweep.folder.path, '--top', wanted)}"


def images_of(sweep: StoredSweep, trial: str, evaluation: Evaluation | None, show: Sequence[str]) -> pd.DataFrame:
    """Return a trial's figures of each image; with settings to show those of its figures that they show.

    Raises:
        UserError: there are none, or they cannot be read.
    """
    end = sweep.state.named[trial].finished
    path = RunFolder(sweep.folder.trial(trial)).per_image
    rerun = sweep_command("rerun", sweep.folder.path, "--trial", trial)
    try:
        if (end is None or end.status != "completed") and not path.exists():
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
    return _only_shown(table, evaluation, show) if show else table


def _only_shown(images: pd.DataFrame, evaluation: Evaluation | None, show: Sequence[str]) -> pd.DataFrame:
    """The rows of the figures that the leaderboard shows."""
    figures = () if evaluation is None else shown_figures(evaluation.estimates, show).values()
    keys = {(each.method, each.split, each.settings) for each in figures}
    return images[[key in keys for key in zip(images["method"], images["split"], images["settings"], strict=True)]]
