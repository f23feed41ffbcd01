"""Run a sweep: begin it or go on with it, in the same way."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from iafsweep.data import TrainingImages
from iafsweep.data.fingerprint import refuse_other_images
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.space import SearchSpace
from iafsweep.signals import StopRequest
from iafsweep.sweep.callbacks.base import CallbackList, StopReason, SweepCallback
from iafsweep.sweep.callbacks.budget import BudgetWatch
from iafsweep.sweep.callbacks.optuna_journal import JournalMirror
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.environment import record_environment
from iafsweep.sweep.storage.events import Ended, now
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, open_ledger
from iafsweep.sweep.tune.options import LaunchOptions, check_resources
from iafsweep.sweep.tune.session import Session, SweepOutcome

__all__ = ["LaunchOptions", "launch_sweep", "load_sweep_space"]


def launch_sweep(
    space: SearchSpace,
    folder: SweepFolder,
    images: TrainingImages,
    options: LaunchOptions,
    progress: SweepCallback,
) -> SweepOutcome:
    """Train trials until there are as many as ``space.sweep.trials``; an empty folder begins, a used one goes on.

    Finished trials are given to the sampler and the rungs, unfinished ones go on first and from their run folders, then
    new ones are proposed. Nothing but the ledger and the run folders is read back.

    Args:
        space: the search space; of a used folder the one of :func:`load_sweep_space`, perhaps with more trials.
        folder: the sweep folder.
        images: training and validation images, uint8, on the CPU.
        options: on what it runs.
        progress: who hears of it.

    Raises:
        DataError: its trials were trained on other images.
        SweepError: another driver holds the folder, its ledger cannot be used or is of another space, nobody can give
            what a trial asks for, the disk is too full, or Ray does not start.
    """
    check_resources(space, folder, options)
    return train_sweep(space, folder, images, options, progress)


def train_sweep(
    space: SearchSpace,
    folder: SweepFolder,
    images: TrainingImages,
    options: LaunchOptions,
    progress: SweepCallback,
) -> SweepOutcome:
    """Do as :func:`launch_sweep` where :func:`check_resources` has been called."""
    stop = StopReason()
    budget = BudgetWatch(space, options.hours, stop=stop)
    folder.create()
    with folder.lock(), open_ledger(space, folder) as ledger, _log_file(folder.log) as log:
        request = StopRequest(folder.stop_request)
        with request.on_signals():
            for problem in ledger.state.problems:
                log.warning("%s", problem)
                progress.message(problem)
            if (ended := _nothing_to_do(space, ledger.state)) is not None:
                return _with_an_end(ended, ledger)
            for trial in (*ledger.state.unfinished, *ledger.state.trials[:1]):
                run = RunFolder(folder.trial(trial.trial))
                refuse_other_images(run.path, run.read_fingerprints(), images.fingerprints)
            record_environment(folder.environment)
            callbacks = CallbackList(budget, JournalMirror(space, folder, log), progress)
            session = Session(space, folder, images, options, callbacks, budget, ledger, log, request, stop)
            with options.ray() as nodes:
                return session.run(nodes)


def _nothing_to_do(space: SearchSpace, state: LedgerState) -> SweepOutcome | None:
    """Return how the sweep had ended before, if it had."""
    if state.unfinished:
        return None
    if len(state.trials) >= space.sweep.trials:
        return SweepOutcome("completed", state)
    return SweepOutcome("exhausted", state) if make_proposer(space).propose(state) is None else None


def _with_an_end(outcome: SweepOutcome, ledger: Ledger) -> SweepOutcome:
    """Write down how the sweep ended if the last driver was killed before it could, behind its last trial."""
    if ledger.state.is_open:
        ledger.append(Ended(outcome=outcome.status, time=now()))
    return replace(outcome, state=ledger.state)


@contextmanager
def _log_file(path: Path) -> Iterator[logging.Logger]:
    """Open the sweep's log for more lines."""
    log = logging.Logger(f"iafsweep.sweep.{path.parent.name}", logging.INFO)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()
