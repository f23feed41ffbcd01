"""Sweeps taken up again with more trials, or for those that ended badly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from iafsweep.cli.command_line import this_command
from iafsweep.cli.drive import with_sweep
from iafsweep.cli.errors import faults_in_words
from iafsweep.cli.options.ray import Machine
from iafsweep.cli.report import leave_report
from iafsweep.cli.see_through import see_through
from iafsweep.cli.tables import print_leaderboard
from iafsweep.errors import SweepError, UserError
from iafsweep.results.publish import publish
from iafsweep.sweep.cluster.resources import plan_trials
from iafsweep.sweep.scoring.retrain import retrain_folder, retrain_space
from iafsweep.sweep.storage.events import EndStatus
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import RETRIED, ended_as, load_sweep_space, read_sweep, reopen_trials
from iafsweep.sweep.tune.driver import check_resources

_TRIALS = re.compile(r"(\+?)(\d{1,9})")


def extend(folder: Path, trials: str, changes: Mapping[str, object], machine: Machine, console: Console) -> int:
    """Raise the number of trials of a sweep and see it through to its leaderboard."""
    old = SweepFolder(folder)
    sweep = read_sweep(old)
    space, state = sweep.space, sweep.state
    if space.sweep.scheduler == "pbt":
        raise UserError(
            f"{folder} trained a population, whose members train side by side from the start; launch another one "
            f"with more --trials"
        )
    wanted = wanted_trials(trials, space.sweep.trials)
    if wanted <= space.sweep.trials:
        raise UserError(
            f"--trials {trials}: the sweep has {space.sweep.trials} trials already ({len(state.trials)} of them "
            f"proposed); ask for more, as in --trials +50"
        )
    return see_through(with_sweep(space, {**changes, "trials": wanted}), old, machine, console)


def retry(
    folder: Path,
    statuses: Sequence[str],
    gpus_per_trial: float | None,
    changes: Mapping[str, object],
    machine: Machine,
    console: Console,
) -> int:
    """Open trials again that ended badly, and go on with the sweep."""
    chosen: list[EndStatus] = [status for status in RETRIED if status in statuses]
    if unknown := set(statuses) - set(RETRIED):
        hint = " (such trials ended well)" if unknown <= set(get_args(EndStatus)) else ""
        raise UserError(f"--status {unknown.pop()}: take {', '.join(RETRIED)}{hint}")
    old = SweepFolder(folder)
    if not old.ledger.exists() and old.space.exists():
        raise SweepError(f"{old.path} has no ledger: its sweep never started; launch it")
    sweep = read_sweep(old)
    ended_as(sweep.state, chosen, old)  # is there anything to retry? before what there is to do it on
    space = with_sweep(sweep.space, changes)
    if gpus_per_trial is not None and machine.options.address is None:
        asked = with_sweep(space, {"gpus_per_trial": gpus_per_trial})
        plan_trials([machine.options.node], asked.sweep, 1, may_grow=machine.options.wait)
    check_resources(space, old, machine.options)  # before any row is written
    with faults_in_words(old.path, this_command()):
        names = reopen_trials(old, chosen, gpus_per_trial)
    console.print(f"Opened again: {', '.join(names)}", markup=False, soft_wrap=True)
    return see_through(space, old, machine, console)


def retrain(
    folder: Path,
    top: int,
    seeds: int,
    all_images: bool,
    changes: Mapping[str, object],
    machine: Machine,
    console: Console,
) -> int:
    """Train the best configurations again from scratch with several seeds, and score them."""
    old = SweepFolder(folder)
    into = retrain_folder(old, top, seeds, all_images=all_images)
    with faults_in_words(old.path, this_command()):
        if into.space.exists():  # go on with the trials it began with, whatever the sweep found since
            again = load_sweep_space(into)
        else:
            again = retrain_space(read_sweep(old), top, seeds, all_images=all_images)
            into.path.parent.mkdir(exist_ok=True)
        if (found := len(again.first)) < top:
            console.print(
                f"--top {top} is more than the trials that had completed, {found} in all: each is trained again",
                markup=False,
                soft_wrap=True,
            )
        code = see_through(with_sweep(again, changes), into, machine, console)
        sweep = read_sweep(old)
        board, report = publish(sweep), leave_report(sweep)
    console.print()
    print_leaderboard(console, old, board)
    console.print(report, markup=False, soft_wrap=True)
    return code


def wanted_trials(text: str, now: int) -> int:
    """Return how many trials ``--trials`` asks for: ``+50`` more than ``now``, or ``150`` in all.

    Raises:
        UserError: it is neither.
    """
    match = _TRIALS.fullmatch(text)
    if match is None:
        raise UserError(f"--trials {text!r}: write +50 for fifty more, or 150 for so many in all")
    return int(match[2]) + (now if match[1] else 0)
