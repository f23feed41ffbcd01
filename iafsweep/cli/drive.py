"""The work behind `run_sweep.py`: each function is one of its commands and returns an exit code."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from iafsweep.cli import exits
from iafsweep.cli.hais_option import with_hais
from iafsweep.cli.machine import Machine
from iafsweep.cli.progress import UnitsProgress
from iafsweep.cli.publish import print_leaderboard, print_table, publish
from iafsweep.cli.report import leave_report
from iafsweep.cli.tables import search_lines
from iafsweep.cli.tracker_option import tracked_sweep
from iafsweep.cli.until_error_option import refuse_budget_alone
from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.config.files import build_config, find_config, parse_overrides, with_values
from iafsweep.config.problems import explain
from iafsweep.data import TrainingImages, load_test_images, load_training_images
from iafsweep.errors import ConfigError, RunFolderError, SweepError, UserError
from iafsweep.sweep.audience import Audience
from iafsweep.sweep.board import best_trials
from iafsweep.sweep.cluster import plan_training, plan_trials
from iafsweep.sweep.finalists import Finalist, plan_finalist, score_finalists
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.outcome import SweepOutcome
from iafsweep.sweep.packing import automatic_gpus, probe_gpu
from iafsweep.sweep.preview import preview_table, sample_configurations
from iafsweep.sweep.progress import LiveProgress, PlainProgress, SweepProgress
from iafsweep.sweep.settings import SweepConfig
from iafsweep.sweep.sizes import parameter_count
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.space_file import load_space
from iafsweep.sweep.stored import load_sweep_space, read_state
from iafsweep.sweep.tuner import check_resources, launch_sweep
from iafsweep.sweep.warm_start import warm_start
from iafsweep.training import RunFolder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def show_samples(space: str, overrides: list[str], count: int, seed: int, console: Console) -> None:
    """Print sample configurations of a space with their sizes."""
    loaded = load_space(space, overrides)
    table = preview_table(loaded, sample_configurations(loaded, count, seed), parameter_count)
    if loaded.title:
        console.print(loaded.title, markup=False, style="bold")
    print_table(console, table, [parameter.path for parameter in loaded.parameters])


def launch_new(
    space: str,
    overrides: list[str],
    epochs: int | None,
    sweep: Mapping[str, object],
    name: str | None,
    runs: Path,
    earlier: Path | None,
    machine: Machine,
    console: Console,
) -> int:
    """Begin a sweep in a new folder and see it through to its leaderboard."""
    plain = {key: value for key, value in sweep.items() if value != "auto"}
    loaded = with_sweep(load_space(space, overrides, epochs=epochs, sweep=plain), sweep, console)
    folder = SweepFolder(_new_folder(runs, name, find_config(space).stem))
    if earlier is not None:
        check_resources(loaded, folder, machine.options)
        known, ended = warm_start(loaded, folder, SweepFolder(earlier))
        console.print(f"The sampler knows {known} of the {ended} trials of {earlier}", markup=False, soft_wrap=True)
    return see_through(loaded, folder, machine, console)


def resume_old(folder: Path, changes: Mapping[str, object], machine: Machine, console: Console) -> int:
    """Go on with a sweep and see it through to its leaderboard."""
    old = SweepFolder(folder)
    return see_through(with_sweep(load_sweep_space(old), changes, console), old, machine, console)


def rerun_best(
    folder: Path,
    changes: Mapping[str, object],
    asked: Mapping[str, object],
    hais: str | None,
    overrides: list[str],
    machine: Machine,
    console: Console,
) -> int:
    """Score the best trials with other settings than the sweep did, or more of them."""
    old = SweepFolder(folder)
    space = with_sweep(load_sweep_space(old), changes)
    old.refuse_if_driven()
    evaluation = _evaluation(space.base, asked, hais, overrides)
    refuse_budget_alone(asked, evaluation.until_error.target)
    if not space.sweep.top:
        raise UserError("the sweep's `top` is 0, so there is nothing to score; ask for some, as in --top 5")
    if machine.options.address is None:
        plan_trials([machine.options.node], space.sweep, space.sweep.top)
    again = shlex.join([*exits.program(), *sys.argv[1:]])
    with machine.options.ray():
        code = _rerun(space, old, evaluation, machine, console, again)
    _show(old, console)
    return code


def export_leaderboard(folder: Path, csv: Path | None, console: Console) -> None:
    """Write the leaderboard from what is on disk."""
    old = SweepFolder(folder)
    load_sweep_space(old)
    if csv is not None and csv.absolute() != old.leaderboard_csv and csv.absolute().is_relative_to(old.path):
        raise UserError(
            f"--csv {csv} lies in the sweep folder, whose files are the sweep's own; name a file outside it"
        )
    if csv is not None and csv.is_dir():
        raise UserError(f"--csv {csv} is a folder; name a file in it, such as {csv / old.leaderboard_csv.name}")
    try:
        board = publish(old, csv)
    except OSError as error:
        raise UserError(f"cannot write the leaderboard: {error}") from error
    print_leaderboard(console, old, board)
    console.print(f"CSV: {csv or old.leaderboard_csv}", markup=False, soft_wrap=True)


def see_through(space: SearchSpace, folder: SweepFolder, machine: Machine, console: Console) -> int:
    """Train, score the best again, publish; whatever is done already is not done again."""
    folder.refuse_if_driven()
    check_resources(space, folder, machine.options)
    images = load_training_images(space.base.data, machine.data_root)
    again = _resume_command(folder, machine)
    console.print(f"Sweep folder: {folder.path}", markup=False, soft_wrap=True)
    try:
        return _train_and_score(space, folder, images, again, machine, console)
    except exits.INTERRUPTS as interrupt:  # while Ray starts, between two parts of the work, or a second time
        if folder.space.exists():
            _say_interrupted(again, console)
        return exits.code_of(interrupt)


def _train_and_score(
    space: SearchSpace, folder: SweepFolder, images: TrainingImages, again: str, machine: Machine, console: Console
) -> int:
    progress = _progress(console)
    with tracked_sweep(machine.tracker, space, folder, progress) as tracking, machine.options.ray() as nodes:
        plan_training(nodes, space.sweep, space.sweep.trials, may_grow=machine.options.wait)  # before anything is made
        heard = progress if tracking is None else Audience(progress, tracking)
        outcome = launch_sweep(space, folder, images, machine.options, heard)
        if outcome.status in ("interrupted", "aborted"):
            publish(folder)
            leave_report(folder, console)
            return _explain_end(outcome, again, console)
        if outcome.status == "exhausted":
            console.print("The space holds no further configurations; the sweep is exhausted.")
        if outcome.status == "stopped":
            console.print(f"The sweep is stopped: {outcome.reason}. To go on:\n  {again}", markup=False, soft_wrap=True)
        code = _rerun(space, folder, space.base.evaluation, machine, console, again)
        if tracking is not None:
            tracking.scored(trial.trial for trial in best_trials(read_state(folder), space.sweep.top))
    _show(folder, console)
    return code


def _rerun(
    space: SearchSpace,
    folder: SweepFolder,
    evaluation: EvaluationConfig,
    machine: Machine,
    console: Console,
    again: str,
) -> int:
    """Score the best trials on the test images; return the exit code."""
    state = read_state(folder)
    ranked = [trial.trial for trial in best_trials(state, len(state.trials))]
    if not ranked or not space.sweep.top:
        return 0
    test = load_test_images(space.base.data, machine.data_root)
    finalists: list[Finalist] = []
    for trial in ranked:
        try:
            finalists.append(plan_finalist(trial, folder, evaluation, len(test)))
        except (RunFolderError, ConfigError) as problem:  # its folder was removed or damaged; the next best is scored
            console.print(f"{trial} cannot be scored: {problem}", markup=False, style="red", soft_wrap=True)
        if len(finalists) == space.sweep.top:
            break
    if not finalists:
        return 1
    best = [finalist.trial for finalist in finalists]
    units = sum(finalist.first_tasks for finalist in finalists)
    remarks: list[str] = []
    with machine.options.ray() as nodes:
        plan = plan_trials(nodes, space.sweep, units, may_grow=machine.options.wait)
        progress = UnitsProgress(console, f"Scoring the best {len(best)} of the trials on test images")
        with progress.shown():
            outcome = score_finalists(finalists, folder, test, plan, progress, remarks.append)
    for name, error in outcome.errors.items():
        console.print(f"{name}: {error}", markup=False, style="red")
    for remark in remarks:
        console.print(remark, markup=False, soft_wrap=True)
    for trial in best:
        run = RunFolder(folder.trial(trial))
        for line in search_lines(run.read_evaluation().estimates) if run.evaluation.exists() else ():
            console.print(f"{trial} {line}", markup=False, soft_wrap=True)
    if outcome.stopped:
        publish(folder)
        leave_report(folder, console)
        _say_interrupted(again, console)
        return 128 + (outcome.signal or 2)
    return 1 if outcome.errors else 0


def _show(folder: SweepFolder, console: Console) -> None:
    board = publish(folder)
    print_leaderboard(console, folder, board)
    console.print(f"\nLeaderboard: {folder.leaderboard_csv}", markup=False, soft_wrap=True)
    console.print(f"Run folders: {folder.trials}", markup=False, soft_wrap=True)
    if folder.best.exists():
        console.print(f"Best configuration: {folder.best}", markup=False, soft_wrap=True)
    leave_report(folder, console)


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


def _evaluation(
    base: RunConfig, asked: Mapping[str, object], hais: str | None, overrides: Sequence[str]
) -> EvaluationConfig:
    """Return the sweep's evaluation with what the command line asks for."""
    changes = parse_overrides(overrides)
    if other := [key for key in changes if not key.startswith("evaluation.")]:
        raise UserError(f"--set {other[0]}: a rerun changes nothing but [evaluation]; the trials are trained already")
    changes |= {key: value for key, value in asked.items() if value is not None}
    evaluation = (
        base.evaluation
        if hais is None
        else base.evaluation.model_copy(update={"hais": with_hais(base.evaluation.hais, hais)})
    )
    values = base.model_dump(exclude_none=True) | {"evaluation": evaluation.model_dump(exclude_none=True)}
    return build_config(with_values(values, changes), "rerun").evaluation


def with_sweep(space: SearchSpace, changes: Mapping[str, object], console: Console | None = None) -> SearchSpace:
    """Return ``space`` with other settings of its sweep; those that are None are left as they are.

    GPUs a trial may be ``auto``: then the largest configuration is measured, and the console told.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    if given.get("gpus_per_trial") == "auto":
        given["gpus_per_trial"] = share = automatic_gpus(space, probe_gpu)
        if console is not None:
            console.print(f"The largest configuration fits {1 / share:.0f} times on a GPU: {share:.3g} GPU a trial")
    try:
        return replace(space, sweep=SweepConfig.model_validate(space.sweep.model_dump() | given))
    except ValidationError as error:
        raise explain(error, "options") from None


def _new_folder(runs: Path, name: str | None, stem: str) -> Path:
    """Return a folder that does not exist yet; without a name the space's with the first free number."""
    if name is None:
        return next(path for number in range(1, 10**9) if not (path := runs / f"{stem}-{number}").exists())
    if _NAME.fullmatch(name) is None:
        raise UserError(f"--name {name!r}: take letters, digits and . _ - only; --runs names the folder it is put in")
    if (runs / name).exists():
        again = shlex.join([*exits.program(), "resume", str(runs / name)])
        raise SweepError(f"{runs / name} exists; take another --name, or go on: {again}")
    return runs / name


def _resume_command(folder: SweepFolder, machine: Machine) -> str:
    words = [*exits.program(), "resume", _shown(folder.path)]
    words += ["--data-root", str(machine.asked_data_root)] if machine.asked_data_root is not None else []
    words += ["--address", machine.options.address] if machine.options.address is not None else []
    words += ["--tracker", machine.tracker] if machine.tracker is not None else []
    return shlex.join(words)


def _shown(path: Path) -> str:
    """A path below the working directory is shown relative to it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _progress(console: Console) -> SweepProgress:
    if console.is_terminal:
        return LiveProgress(console)
    return PlainProgress(lambda line: console.print(line, markup=False, soft_wrap=True))
