"""How Tune is set up, and what of it is kept quiet and thrown away."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.experiment import Trial

from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.ledger_callback import Recorder
from iafsweep.sweep.tune.scheduler import RuledScheduler
from iafsweep.sweep.tune.searcher import LedgerSearcher
from iafsweep.sweep.tune.stopper import SweepStopper

_FAILURES = 3
"""New processes a trial may need (its worker was killed, a file or CUDA fault) before it counts as failed."""


def tune_config(searcher: LedgerSearcher, scheduler: RuledScheduler, at_a_time: int) -> TuneConfig:
    """Return how Tune finds trials and stops them."""
    return TuneConfig(
        search_alg=searcher,
        scheduler=scheduler,
        num_samples=searcher.waiting,
        max_concurrent_trials=at_a_time,
        reuse_actors=True,
        trial_name_creator=_trial_name,
        trial_dirname_creator=_trial_name,
    )


def run_config(scratch: Path, stopper: SweepStopper, recorder: Recorder) -> RunConfig:
    """Return where Tune puts its files, how often it tries again, and who hears of what happens."""
    return RunConfig(
        name="tune",
        storage_path=str(scratch),
        stop=stopper,
        callbacks=[recorder],
        failure_config=FailureConfig(max_failures=_FAILURES),
        checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        verbose=0,
    )


@contextmanager
def scratch_folder(folder: SweepFolder) -> Iterator[Path]:
    """Give Tune a folder for its own files, which are never read back, and remove it."""
    shutil.rmtree(folder.scratch, ignore_errors=True)
    folder.scratch.mkdir()
    try:
        yield folder.scratch
    finally:
        shutil.rmtree(folder.scratch, ignore_errors=True)


@contextmanager
def quiet_tune() -> Iterator[None]:
    """Keep Tune's own messages off the screen; what matters of them the recorder says."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])
