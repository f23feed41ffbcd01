"""Start or continue a sweep: `launch`, `resume`, `extend`, `retry`, `retrain`.

Each trains the trials that are left, scores the best and publishes the results. Ray takes seconds to import, so it is
imported only once the request has passed its checks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from iafsweep.api.news import Place
from iafsweep.api.own_images import space_with_images, told
from iafsweep.api.results import SweepResults, publish_results
from iafsweep.api.settings import with_sweep
from iafsweep.data import load_training_images
from iafsweep.errors import SweepError, UserError
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command
from iafsweep.sweep.cluster.resources import plan_training, plan_trials
from iafsweep.sweep.samplers.warm_start import warm_start
from iafsweep.sweep.scoring.retrain import retrain_folder, retrain_space
from iafsweep.sweep.storage.events import EndStatus
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import (
    RETRIED,
    StoredSweep,
    ended_as,
    load_sweep_space,
    open_ledger,
    read_sweep,
    reopen_trials,
)
from iafsweep.sweep.tune.options import check_resources
from iafsweep.texts import counted

if TYPE_CHECKING:
    from iafsweep.sweep.tune.driver import SweepOutcome

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TRIALS = re.compile(r"(\+?)(\d{1,9})")


@dataclass(frozen=True)
class SweepEnd:
    """How one call ended a sweep.

    Attributes:
        training: how the training ended.
        results: what was published.
        exit_code: 0; 1 if it failed; 128 plus the signal's number if it was interrupted.
        of: after a retraining, what was published again of the original sweep; otherwise None.
    """

    training: SweepOutcome
    results: SweepResults
    exit_code: int
    of: SweepResults | None = None


def launch(
    space: SearchSpace,
    runs: Path,
    stem: str,
    place: Place,
    name: str | None = None,
    warm: Path | None = None,
    changes: Mapping[str, object] = MappingProxyType({}),
) -> SweepEnd:
    """Start a sweep in a new folder and run it to its end.

    Args:
        space: the search space.
        runs: the folder in which the sweep folder is created.
        stem: name of the sweep folder before a number, if ``name`` is None.
        place: what the sweep runs on.
        name: name of the sweep folder.
        warm: folder of an earlier sweep, whose results the sampler starts from.
        changes: changed sweep settings, see :func:`with_sweep`.

    Raises:
        UserError: the disk has no room for it, this machine lacks what it asks for, or a file cannot be used.
    """
    earlier = None if warm is None else read_sweep(SweepFolder(warm))
    space, own = space_with_images(space, place.images)
    space, place = with_sweep(space, changes, place.news), replace(place, images=own)

    def begin(folder: SweepFolder) -> None:
        if earlier is not None:
            known, ended = warm_start(space, folder, earlier)
            place.news.message(
                f"The sampler starts from the results of {known} of the {counted(ended, 'trial')} of {warm}"
            )

    with new_folder(runs, name, stem) as path:
        return complete(space, SweepFolder(path), place, begin)


def resume(folder: Path, changes: Mapping[str, object], place: Place) -> SweepEnd:
    """Continue a sweep to its end; `changes` are changed sweep settings, see :func:`with_sweep`."""
    old = SweepFolder(folder)
    return complete(with_sweep(load_sweep_space(old), changes, place.news), old, place)


def extend(folder: Path, trials: str, changes: Mapping[str, object], place: Place) -> SweepEnd:
    """Raise the number of trials of a sweep (`+50` more, or `150` in all) and run it to its end."""
    sweep = read_sweep(SweepFolder(folder))
    space = sweep.space
    wanted = wanted_trials(trials, space.sweep.trials)
    if space.sweep.scheduler == "pbt":
        old = sweep.folder
        again = ("--name", f"{old.path.name}-of-{wanted}", "--runs", old.path.parent)
        raise UserError(
            f"{folder} trained a population, which cannot grow: its members train side by side from the start; launch "
            f"a larger one: {sweep_command('launch', old.space, '--trials', wanted, *again)}"
        )
    if wanted <= space.sweep.trials:
        raise UserError(
            f"--trials {trials}: the sweep already has {counted(space.sweep.trials, 'trial')} "
            f"({len(sweep.state.trials)} of them proposed); ask for more, as in --trials +50"
        )
    return complete(with_sweep(space, {**changes, "trials": wanted}), sweep.folder, place)


def retry(
    folder: Path, statuses: Sequence[str], gpus_per_trial: float | None, changes: Mapping[str, object], place: Place
) -> SweepEnd:
    """Reopen trials that ended badly, and continue the sweep.

    Args:
        folder: the sweep folder.
        statuses: `oom`, `failed` or `diverged`.
        gpus_per_trial: GPUs for each of these trials; None: as many as for the others.
        changes: changed sweep settings.
        place: what the sweep runs on.
    """
    chosen: list[EndStatus] = [status for status in RETRIED if status in statuses]
    if not statuses:
        raise UserError(f"no status was given; name the status of the trials to run again: {', '.join(RETRIED)}")
    if unknown := set(statuses) - set(RETRIED):
        hint = " (they ended well)" if unknown <= set(get_args(EndStatus)) else ""
        raise UserError(
            f"--status {unknown.pop()}: such trials are not run again{hint}; name one of {', '.join(RETRIED)}"
        )
    old = SweepFolder(folder)
    if not old.ledger.exists() and old.space.exists():
        raise SweepError(
            f"{old.path} has no ledger: its sweep never started; start it: {sweep_command('resume', old.path)}"
        )
    sweep = read_sweep(old)
    reopened = len(ended_as(sweep.state, chosen, old))  # fails early if there is nothing to retry
    space, options = with_sweep(sweep.space, changes), place.options
    if gpus_per_trial is not None and options.address is None:
        asked = with_sweep(space, {"gpus_per_trial": gpus_per_trial})
        plan_trials([options.node], asked.sweep, 1, may_grow=options.wait)

    def begin(folder: SweepFolder) -> None:
        place.news.message(f"Reopened: {', '.join(reopen_trials(folder, chosen, gpus_per_trial))}")
        with folder.lock(), open_ledger(space, folder):  # stores the new settings, in case Ray does not start
            pass

    return complete(space, old, place, begin, reopened)


def retrain(
    folder: Path, top: int, seeds: int, changes: Mapping[str, object], place: Place, *, all_images: bool = False
) -> SweepEnd:
    """Retrain the best configurations from scratch with several seeds, and score them.

    Args:
        folder: the sweep folder.
        top: number of best configurations.
        seeds: number of seeds per configuration.
        changes: changed settings of the sweep that retrains them.
        place: what that sweep runs on.
        all_images: also train on the validation images.

    Returns:
        How the retraining ended. The sweep's own leaderboard, published again, shows mean and spread.
    """
    old = SweepFolder(folder)
    into = retrain_folder(old, top, seeds, all_images=all_images)
    if into.space.exists():  # continue with its original trials, whatever the sweep has found since
        space = load_sweep_space(into)
    else:
        space = retrain_space(read_sweep(old), top, seeds, all_images=all_images)
        into.path.parent.mkdir(exist_ok=True)
    if (found := len(space.first)) < top:
        place.news.message(
            f"--top {top}: only {counted(found, 'trial')} had completed, so each of them is trained again"
        )
    end = complete(with_sweep(space, changes), into, place)
    return replace(end, of=publish_results(read_sweep(old), place.news.report_command(old.path)))


def complete(
    space: SearchSpace,
    folder: SweepFolder,
    place: Place,
    begin: Callable[[SweepFolder], None] = lambda folder: None,
    reopened: int = 0,
) -> SweepEnd:
    """Train, score the best trials and publish; work that is done already is not repeated.

    ``begin`` is called once the checks have passed, before Ray starts; ``reopened`` is the number of trials that it
    reopens.

    Raises:
        UserError: another driver runs, the requested resources are not available, or a file cannot be written.
    """
    options, news = place.options, place.news
    news.opened(folder)
    folder.refuse_if_driven()
    space, own = space_with_images(space, place.images)
    check_resources(space, folder, options, reopened)
    images = load_training_images(space.base.data, place.data_root, own)
    with news.importing():
        from iafsweep.api.rerun import score_best
        from iafsweep.sweep.tune.driver import train_sweep
    with news.working(space, folder) as progress:
        if own is not None:
            news.message(told(space.base.data, own))
        begin(folder)
        news.message(options.starting)
        with options.ray() as nodes:
            plan_training(nodes, space.sweep, space.sweep.trials, may_grow=options.wait)  # before anything is made
            outcome = train_sweep(space, folder, images, options, progress)
            sweep, code = StoredSweep(folder, space, outcome.state), outcome.exit_code
            if outcome.status not in ("interrupted", "aborted"):
                news.trained(outcome, space)
                code = score_best(sweep, space.sweep, space.base.evaluation, replace(place, images=own))
        return SweepEnd(outcome, publish_results(sweep, news.report_command(folder.path)), code)


def wanted_trials(text: str, now: int) -> int:
    """Return how many trials ``--trials`` asks for: ``+50`` more than ``now``, or ``150`` in all.

    Raises:
        UserError: it is neither.
    """
    match = _TRIALS.fullmatch(text)
    if match is None:
        raise UserError(f"--trials {text!r}: write +50 for fifty more, or 150 for that many in all")
    return int(match[2]) + (now if match[1] else 0)


@contextmanager
def new_folder(runs: Path, name: str | None, stem: str) -> Iterator[Path]:
    """Create a new sweep folder: ``name``, or without one ``stem`` and the first free number.

    It is created at once, so that two simultaneous launches get different folders. If it is still empty at the end, it
    is removed, and so are ``runs`` and parent folders that were created for it.
    """
    if name is not None and _NAME.fullmatch(name) is None:
        raise UserError(
            f"--name {name!r} is not a valid name; use up to 100 letters, digits and . _ -, beginning with a letter or "
            f"digit; --runs names the parent folder"
        )
    made = [each for each in (runs, *runs.parents) if not os.path.lexists(each)]
    try:
        runs.mkdir(parents=True, exist_ok=True)
        path = next(
            path
            for path in ([runs / name] if name else (runs / f"{stem}-{number}" for number in range(1, 10**9)))
            if _is_made(path)
        )
    except OSError as error:
        why = "it is not a folder" if isinstance(error, FileExistsError) else error.strerror
        raise SweepError(f"cannot create a sweep folder in {runs}: {why}; choose another --runs") from error
    except StopIteration:
        there = SweepFolder(runs / str(name))
        or_go_on = f", or continue it: {sweep_command('resume', there.path)}" if there.space.exists() else ""
        raise SweepError(f"{there.path} exists; choose another --name{or_go_on}") from None
    try:
        yield path
    finally:
        with suppress(OSError):
            for each in (path, *made):
                each.rmdir()  # removes only empty folders


def _is_made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
