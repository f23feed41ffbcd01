"""Write and compare the results of a sweep, without Ray or PyTorch: `export`, `compare`, `report`."""

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
    """Write the leaderboard of a sweep from the files on disk: CSV, Markdown and the best configuration.

    Args:
        folder: the sweep folder.
        csv: CSV file to write, without the others; None: write all of them into the sweep folder.
        show: settings of the test figures to show, see :meth:`~iafsweep.records.Estimate.is_shown`.
        optuna: file to which the sweep is also written as an Optuna journal, for optuna-dashboard.

    Raises:
        SweepError, ConfigError: the folder holds no readable sweep.
        UserError: a file cannot be written or would be one of the sweep's own, or no figure was measured with the
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
        with TemporaryDirectory() as scratch:  # Optuna writes a lock file next to it
            written = Path(scratch) / "journal"
            write_journal(sweep, written)
            write_text(to, written.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot write {to}: {error}; free some disk space, or name another place") from error


@dataclass(frozen=True)
class ComparedTrials:
    """Trials compared with the first of them, image by image.

    Attributes:
        first: name of the first trial.
        differences: the other trials' figures minus those of the first, as paired differences.
        left_out: pairs of figures that were measured with different settings.
        problems: which figures of the sweep could not be read, one sentence each.
        unscored: for several sweeps: names of those without a trial to compare, with one sentence on what to do.
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
        trials: names of the trials; none: every trial with figures, in leaderboard order.
        csv: file to which the differences are also written.
        show: settings of the figures to compare; for a method without any here, all that both trials were scored with.

    Raises:
        SweepError: there is no such trial.
        UserError: a trial has no figures, there are fewer than two trials, or the CSV cannot be written or would be
            written into the sweep folder.
    """
    stored = read_sweep(SweepFolder(folder))
    if csv is not None:
        refuse_ours(stored.folder, csv, "--csv", "differences.csv")
    scored = scored_rows(stored, show)
    rows = ranked(scored.rows)
    chosen = chosen_trials(stored, trials, [row.trial for row in rows])
    if len(set(chosen)) < 2:
        more = "name another trial, or none to compare all" if trials else more_to_compare(stored, 2)
        raise too_few(chosen, more)
    tables = {trial: images_of(stored, trial, scored.evaluations.get(trial), show) for trial in chosen}
    return compared(tables, csv, scored.problems, {row.trial for row in rows if row.autoregressive})


def chosen_trials(sweep: StoredSweep, trials: Sequence[str], ranks: Sequence[str]) -> list[str]:
    """Return the trials to compare: the named ones, or else all that have per-image figures, best first.

    Raises:
        SweepError: there is no such trial.
    """
    for trial in trials:
        sweep.folder.refuse_unknown(trial, sorted(ranks))
    return list(trials) or [trial for trial in ranks if RunFolder(sweep.folder.trial(trial)).per_image.exists()]


def too_few(chosen: Sequence[str], more: str) -> UserError:
    """Return the error for fewer than two trials to compare; ``more`` says what to do."""
    named = ", ".join(chosen) or "none"
    return UserError(f"a comparison needs at least two different scored trials, got {named}; {more}")


def compared(
    tables: Mapping[str, pd.DataFrame], csv: Path | None, problems: tuple[str, ...], autoregressive: Collection[str]
) -> ComparedTrials:
    """Compare trials with the first of them by their tables of per-image figures, and write the differences to ``csv``.

    ``autoregressive`` names the trials with an autoregressive decoder.

    Raises:
        UserError: the differences cannot be written.
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
    """Write the report of a sweep and yield its path: once, or again whenever the sweep has changed.

    Args:
        folder: the sweep folder; the sweep may be running, interrupted or without a single good trial.
        command: the words of the command that makes the report.
        show: settings of the test figures to show.
        to: file to write; None: ``report.html`` in the sweep folder.
        follow: write the report again whenever a file of the sweep has changed, until no driver works on it.

    Raises:
        SweepError, ConfigError: the folder holds no readable sweep.
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
                f"cannot write the report: {error}; free some disk space, or name another place with --to"
            ) from error


def served_report(folder: Path, command: Sequence[str], show: Sequence[str] = ()) -> AbstractContextManager[str]:
    """Serve the report to this machine alone, updated as the sweep runs: ``iafsweep.report.serve.served``."""
    from iafsweep.report.serve import served

    return served(folder, command, show)


@dataclass(frozen=True)
class SweepResults:
    """The published results of a sweep.

    Attributes:
        folder: the sweep folder.
        leaderboard: the published leaderboard.
        report: path of the report; None if it could not be written.
        fault: why the report could not be written.
    """

    folder: SweepFolder
    leaderboard: Published
    report: Path | None
    fault: str = ""


def publish_results(sweep: StoredSweep, command: Sequence[str]) -> SweepResults:
    """Write the leaderboard and the report of a sweep that has ended.

    If the report cannot be written, the result says why; no error is raised.

    Raises:
        OSError: the leaderboard cannot be written.
    """
    from iafsweep import report

    published = publish(sweep)
    try:
        return SweepResults(sweep.folder, published, report.write_report(sweep, command))
    except Exception as error:  # noqa: BLE001 - the results are on disk: no reason to fail the command
        return SweepResults(sweep.folder, published, None, str(error))


def refuse_ours(folder: SweepFolder, path: Path, option: str, name: str) -> None:
    """Refuse an output path that is a folder or one of the sweep's own files, with links resolved."""
    if is_standard_output(path):
        return
    folder.refuse_inside(path, option)
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file in it, such as {path / name}")


def not_written(what: str, csv: Path | None, error: OSError) -> Exception:
    """Return the error to raise if a CSV cannot be written."""
    if isinstance(error, BrokenPipeError) and is_standard_output(csv):  # the reader has gone
        return error
    return UserError(f"cannot write {what}: {error}; use --csv to name a file that can be written")


def more_to_compare(sweep: StoredSweep, wanted: int) -> str:
    """Return advice on how a sweep gets as many trials with figures as ``wanted``."""
    if sweep.driver is not None:
        return f"compare again later: a driver is at work on the sweep ({sweep.driver})"
    if (there := len(best_trials(sweep.state, wanted))) < wanted:
        return f"only completed trials can be scored, and the sweep has {there}"
    return f"score more: {sweep_command('rerun', sweep.folder.path, '--top', wanted)}"


def images_of(sweep: StoredSweep, trial: str, evaluation: Evaluation | None, show: Sequence[str]) -> pd.DataFrame:
    """Return the per-image figures of a trial; with ``show``, only of the figures that it selects.

    Raises:
        UserError: the trial has none, or they cannot be read.
    """
    end = sweep.state.named[trial].finished
    path = RunFolder(sweep.folder.trial(trial)).per_image
    rerun = sweep_command("rerun", sweep.folder.path, "--trial", trial)
    try:
        if (end is None or end.status != "completed") and not path.exists():
            raise UserError(f"{trial} has no figures and cannot be scored: only completed trials can; name another")
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{trial} has no per-image figures ({path} is missing); score it first: {rerun}") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}; score the trial again: {rerun}") from error
    if "settings" not in table:
        raise UserError(
            f"{path} does not record the settings with which {trial} was scored (an earlier version wrote it); score "
            f"the trial again, which reuses existing results: {rerun}"
        )
    return _only_shown(table, evaluation, show) if show else table


def _only_shown(images: pd.DataFrame, evaluation: Evaluation | None, show: Sequence[str]) -> pd.DataFrame:
    """The rows of the figures that the leaderboard shows."""
    figures = () if evaluation is None else shown_figures(evaluation.estimates, show).values()
    keys = {(each.method, each.split, each.settings) for each in figures}
    return images[[key in keys for key in zip(images["method"], images["split"], images["settings"], strict=True)]]
