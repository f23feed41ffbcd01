"""A sweep from where it is to its end: train what is left, score the best, publish, say how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from iafsweep.cli import errors as exits
from iafsweep.cli.command_line import program
from iafsweep.cli.errors import faults_in_words
from iafsweep.cli.options.ray import Machine
from iafsweep.cli.progress import UnitsProgress
from iafsweep.cli.report import leave_report
from iafsweep.cli.tables import print_leaderboard, search_lines
from iafsweep.cli.tracking import tracked_sweep
from iafsweep.config import EvaluationConfig
from iafsweep.config.sweep import SweepConfig
from iafsweep.data import TrainingImages, load_test_images, load_training_images
from iafsweep.data.fingerprint import fingerprint, unknown_images
from iafsweep.errors import ConfigError, RunFolderError
from iafsweep.records import FigureKind, Fingerprint, Split
from iafsweep.results.publish import publish
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import CallbackList, SweepCallback
from iafsweep.sweep.callbacks.progress import LiveProgress, PlainProgress
from iafsweep.sweep.cluster.resources import plan_training, plan_trials
from iafsweep.sweep.samplers.base import why_exhausted
from iafsweep.sweep.scoring.rerun import Finalist, plan_finalist, score_finalists
from iafsweep.sweep.scoring.selection import best_trials, scored_epoch
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import LedgerState, TrialState
from iafsweep.sweep.storage.stored_sweep import StoredSweep
from iafsweep.sweep.tune.driver import check_resources, launch_sweep
from iafsweep.sweep.tune.session import SweepOutcome


def see_through(space: SearchSpace, folder: SweepFolder, machine: Machine, console: Console) -> int:
    """Train, score the best again, publish; whatever is done already is not done again. Returns the exit code.

    Raises:
        UserError: another driver runs, what is asked for cannot be given, or a file cannot be written.
    """
    again = resume_command(folder, machine)
    try:
        folder.refuse_if_driven()
        check_resources(space, folder, machine.options)
        images = load_training_images(space.base.data, machine.data_root)
        console.print(f"Sweep folder: {folder.path}", markup=False, soft_wrap=True)
        with faults_in_words(folder.path, again):
            return _train_and_score(space, folder, images, machine, console, again)
    except exits.INTERRUPTS as interrupt:  # before and while Ray starts, between two parts of the work, a second time
        if folder.space.exists():
            _say_interrupted(again, console)
        else:
            console.print("\nInterrupted before the sweep began; there is nothing to resume.")
        return exits.code_of(interrupt)


def _train_and_score(
    space: SearchSpace, folder: SweepFolder, images: TrainingImages, machine: Machine, console: Console, again: str
) -> int:
    progress = _progress(console)
    with tracked_sweep(machine.tracker, space, folder, progress) as tracking, machine.options.ray() as nodes:
        plan_training(nodes, space.sweep, space.sweep.trials, may_grow=machine.options.wait)  # before anything is made
        heard = progress if tracking is None else CallbackList(progress, tracking)
        outcome = launch_sweep(space, folder, images, machine.options, heard)
        sweep = StoredSweep(folder, space, outcome.state)
        if outcome.status in ("interrupted", "aborted"):
            publish(sweep)
            console.print(leave_report(sweep), markup=False, soft_wrap=True)
            return _explain_end(outcome, again, console)
        if outcome.status == "exhausted":
            console.print(f"{why_exhausted(space)} The sweep is exhausted.", markup=False, soft_wrap=True)
        if outcome.status == "stopped":
            console.print(f"The sweep is stopped: {outcome.reason}. To go on:\n  {again}", markup=False, soft_wrap=True)
        code = score_best(sweep, space.sweep, space.base.evaluation, machine, console, again)
        if tracking is not None:
            tracking.scored(trial.trial for trial in best_trials(outcome.state, space.sweep.top))
    show_results(sweep, console)
    return code


def score_best(
    sweep: StoredSweep,
    settings: SweepConfig,
    evaluation: EvaluationConfig,
    machine: Machine,
    console: Console,
    again: str,
    asked: Collection[FigureKind] | None = None,
    trials: Sequence[str] = (),
) -> int:
    """Score the best trials on the test images; return the exit code.

    Args:
        sweep: the sweep, its training ended.
        settings: how many to score, and what each process gets.
        evaluation: what to score with.
        machine: on what; Ray need not run yet.
        console: where to print.
        again: the command that goes on.
        asked: figures that are made whatever there is, see :func:`plan_finalist`.
        trials: the trials to score; none: the best.

    Raises:
        UserError: a trial is named that has not completed, or one was trained on other images.
    """
    folder, space, state = sweep.folder, sweep.space, sweep.state
    ranked = best_trials(state, len(state.trials))
    top = len(trials) or settings.top
    for name in trials:
        folder.refuse_unknown(name, sorted(each.trial for each in ranked))
    ranked = tuple(each for each in ranked if not trials or each.trial in trials)
    if not ranked or not top:
        return 1 if _all_failed(state) else 0
    data = space.base.data
    test = load_test_images(data, machine.data_root)
    images = load_training_images(data, machine.data_root).fingerprints | {"test": fingerprint(test)}
    finalists: list[Finalist] = []
    for trial in ranked:
        try:
            finalists.append(_finalist(trial, space, folder, evaluation, images, asked))
        except (RunFolderError, ConfigError) as problem:  # its folder was removed or damaged; the next best is scored
            console.print(f"{trial.trial} cannot be scored: {problem}", markup=False, style="red", soft_wrap=True)
        if len(finalists) == top:
            break
    if not finalists:
        return 1
    finalists = [finalist for finalist in finalists if finalist.jobs]
    if not finalists:
        console.print("What was asked for is scored already.")
        return 0
    best = [finalist.trial for finalist in finalists]
    if unknown := [finalist.trial for finalist in finalists if not finalist.run.read_fingerprints()]:
        console.print(f"Note: {unknown_images(', '.join(unknown), data.source)}", markup=False, soft_wrap=True)
    units = sum(finalist.first_tasks for finalist in finalists)
    notes: list[str] = []
    with machine.options.ray() as nodes:
        plan = plan_trials(nodes, settings, units, may_grow=machine.options.wait)
        progress = UnitsProgress(
            console, f"Scoring {', '.join(best) if trials else f'the best {len(best)} of the trials'} on test images"
        )
        with progress.shown():
            outcome = score_finalists(finalists, folder, test, plan, progress, notes.append)
    for line in _failed(outcome.errors):
        console.print(line, markup=False, style="red", soft_wrap=True)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    for finalist in finalists:
        with suppress(RunFolderError):  # one whose scoring failed has no figures
            for line in search_lines(finalist.run.read_evaluation().estimates):
                console.print(f"{finalist.trial} {line}", markup=False, soft_wrap=True)
    if outcome.stopped:
        publish(sweep)
        console.print(leave_report(sweep), markup=False, soft_wrap=True)
        _say_interrupted(again, console)
        return 128 + (outcome.signal or 2)
    return 1 if outcome.errors else 0


def _failed(errors: Mapping[str, str]) -> list[str]:
    """Say each error once, with the first unit that met it: what is wrong with a trial is wrong in all its units."""
    units: dict[str, list[str]] = {}
    for name, error in errors.items():
        units.setdefault(error, []).append(name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {error}"
        for error, names in units.items()
    ]


def _finalist(
    trial: TrialState,
    space: SearchSpace,
    folder: SweepFolder,
    evaluation: EvaluationConfig,
    images: Mapping[Split, Fingerprint],
    asked: Collection[FigureKind] | None,
) -> Finalist:
    """Plan the scoring of a trial.

    Raises:
        RunFolderError, ConfigError: a file in its folder is missing, damaged, or of training that went on by hand.
    """
    finalist = plan_finalist(trial.trial, folder, evaluation, images, asked)
    assert trial.finished is not None
    if finalist.epoch != (epoch := scored_epoch(trial.finished, space)):
        raise RunFolderError(
            f"{finalist.run.path} was trained further: {evaluation.checkpoint}.pt is of epoch {finalist.epoch}, and "
            f"its row is of epoch {epoch}; score it as a run of its own, with run_single.py --evaluate-only"
        )
    return finalist


def show_results(sweep: StoredSweep, console: Console) -> None:
    """Publish the leaderboard, leave the report, and print where both are: files first."""
    folder = sweep.folder
    board, report = publish(sweep), leave_report(sweep)
    print_leaderboard(console, folder, board)
    console.print(f"\nLeaderboard: {folder.leaderboard_csv}", markup=False, soft_wrap=True)
    console.print(f"Run folders: {folder.trials}", markup=False, soft_wrap=True)
    if folder.best.exists():
        console.print(f"Best configuration: {folder.best}", markup=False, soft_wrap=True)
    console.print(report, markup=False, soft_wrap=True)


def resume_command(folder: SweepFolder, machine: Machine) -> str:
    """Return the command that goes on as this one would have, on the same machine with the same options."""
    options = machine.options
    given: dict[str, object] = {
        "--data-root": machine.asked_data_root,
        "--address": options.address,
        "--ray-folder": options.temporary,
        "--hours": options.hours,
        "--tracker": machine.tracker,
    }
    flags = {
        "--wait": options.wait,
        "--dashboard": options.dashboard,
        "--allow-no-authentication": options.allow_no_authentication,
    }
    words = [*program(), "resume", _shown(folder.path)]
    words += [word for option, value in given.items() if value is not None for word in (option, str(value))]
    return shlex.join([*words, *(flag for flag, is_set in flags.items() if is_set)])


def _all_failed(state: LedgerState) -> bool:
    """Whether trials have ended, and none of them well."""
    ends = {trial.finished.status for trial in state.finished if trial.finished is not None}
    return bool(ends) and not ends & {"completed", "stopped"}


def _explain_end(outcome: SweepOutcome, again: str, console: Console) -> int:
    if outcome.status == "aborted":
        console.print("Trial after trial failed in the same place; the sweep is stopped:", style="red")
        console.print(outcome.error, markup=False)
        console.print(f"When that is mended:\n  {again}", markup=False, soft_wrap=True)
    else:
        _say_interrupted(again, console)
    return outcome.exit_code


def _say_interrupted(again: str, console: Console) -> None:
    console.print(f"\nInterrupted. To go on:\n  {again}", markup=False, soft_wrap=True)


def _shown(path: Path) -> str:
    """A path below the working directory is shown relative to it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _progress(console: Console) -> SweepCallback:
    if console.is_terminal:
        return LiveProgress(console)
    return PlainProgress(lambda line: console.print(line, markup=False, soft_wrap=True))
