"""Run a sweep: begin it or go on with it, in the same way."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.error import TuneError
from ray.tune.experiment import Trial

from iafsweep.data import TrainingImages
from iafsweep.errors import SweepError
from iafsweep.sweep.cluster import Node, Plan, plan_trials, running_ray, this_machine
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.ledger import Ledger
from iafsweep.sweep.outcome import SweepOutcome
from iafsweep.sweep.progress import SweepProgress
from iafsweep.sweep.proposals import make_proposer
from iafsweep.sweep.recorder import Recorder
from iafsweep.sweep.scheduler import RungScheduler, make_rungs
from iafsweep.sweep.searcher import LedgerSearcher
from iafsweep.sweep.signals import StopRequest
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.state import LedgerState
from iafsweep.sweep.stopping import STALLED_SECONDS, StallWatch, SweepStopper
from iafsweep.sweep.stored import load_sweep_space, open_ledger
from iafsweep.sweep.trial import OpenTrainer, SweepTrial, TrialSettings, open_trainer

__all__ = ["LaunchOptions", "launch_sweep", "load_sweep_space"]

_FAILURES = 3
"""New processes a trial may need (its worker was killed, a file or CUDA fault) before it counts as failed."""
_STALLS = 3


@dataclass(frozen=True)
class LaunchOptions:
    """On what a sweep runs; what it searches is the space's.

    Attributes:
        address: a running Ray cluster to join; None: start Ray on this machine.
        temporary: folder for Ray's sockets and logs; None: Ray's own.
        allow_no_authentication: start although the environment turns Ray's token authentication off.
        node: what this machine may use; None: all of it.
        open_trainer: opens the trainer of a run folder.
        stalled_seconds: so long without a running trial while some wait, Tune is started anew from the ledger.
    """

    address: str | None = None
    temporary: str | None = None
    allow_no_authentication: bool = False
    node: Node | None = None
    open_trainer: OpenTrainer = open_trainer
    stalled_seconds: float = STALLED_SECONDS


def launch_sweep(
    space: SearchSpace,
    folder: SweepFolder,
    images: TrainingImages,
    options: LaunchOptions,
    progress: SweepProgress,
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
        SweepError: another driver holds the folder, its ledger cannot be used or is of another space, nobody can give
            what a trial asks for, or Ray does not start.
    """
    node = options.node or this_machine()
    if options.address is None:
        plan_trials([node], space.sweep, space.sweep.trials)
    folder.create()
    stop = StopRequest()
    with folder.lock(), open_ledger(space, folder) as ledger, _log_file(folder.log) as log, stop.on_signals():
        for problem in ledger.state.problems:
            log.warning("%s", problem)
            progress.remark(problem)
        sweep = _Sweep(space, folder, images, options, progress, ledger, log, stop)
        if (ended := _nothing_to_do(space, ledger.state)) is not None:
            return ended
        with (
            running_ray(
                node,
                address=options.address,
                temporary=options.temporary,
                allow_no_authentication=options.allow_no_authentication,
            ) as nodes,
            stop.on_signals(),
        ):
            return sweep.run(nodes)


@dataclass(frozen=True)
class _Sweep:
    """A sweep with its ledger open and Ray running."""

    space: SearchSpace
    folder: SweepFolder
    images: TrainingImages
    options: LaunchOptions
    progress: SweepProgress
    ledger: Ledger
    log: logging.Logger
    stop: StopRequest

    def run(self, nodes: list[Node]) -> SweepOutcome:
        """Run Tune, anew if it stalls, and say how it ended."""
        searcher = LedgerSearcher(self.space, self.ledger, make_proposer(self.space), self.space.sweep.trials)
        plan = plan_trials(nodes, self.space.sweep, searcher.waiting)
        self.log.info("%d trials to go, %s", searcher.waiting, plan)
        self.progress.begin(plan, self.ledger.state, self.space.sweep.trials)
        try:
            for _ in range(_STALLS):
                outcome = self._tune(plan)
                if outcome is not None:
                    self.log.info("the sweep is %s", outcome.status)
                    return outcome
                self.log.warning("no trial runs although some wait; starting Tune anew from the ledger")
        finally:
            self.progress.end()
        raise SweepError(
            f"{self.folder.path}: trials wait but none starts; see {self.folder.log} and Ray's own logs, then resume"
        )

    def _tune(self, plan: Plan) -> SweepOutcome | None:
        """Run Tune once from the ledger as it is now; None if it stalled."""
        searcher = LedgerSearcher(self.space, self.ledger, make_proposer(self.space), self.space.sweep.trials)
        rungs = make_rungs(self.space, self.ledger.state)
        milestones = () if rungs is None else rungs.milestones
        watch = StallWatch(self.options.stalled_seconds)
        recorder = Recorder(self.ledger, milestones, self.progress, self.log, watch)
        stopper = SweepStopper(
            lambda: self.stop.signal is not None, lambda: bool(recorder.failed_alike), lambda: watch.stalled
        )
        if searcher.waiting:
            with _scratch(self.folder) as scratch, _quiet_tune():
                tuner = Tuner(
                    self._trainable(plan, milestones),
                    tune_config=_tune_config(searcher, RungScheduler(rungs), plan),
                    run_config=_run_config(scratch, stopper, recorder),
                )
                _fit(tuner, recorder, self.folder)
        return self._outcome(searcher, recorder, watch)

    def _trainable(self, plan: Plan, milestones: tuple[int, ...]) -> type[SweepTrial]:
        settings = TrialSettings(self.folder.path, plan.cpus, plan.gpus, milestones, self.options.open_trainer)
        trainable = tune.with_parameters(
            SweepTrial,
            training=self.images.training.numpy(),
            validation=self.images.validation.numpy(),
            settings=settings,
        )
        resources = tune.with_resources(trainable, {"cpu": plan.cpus, "gpu": plan.gpus})
        assert isinstance(resources, type)
        return resources

    def _outcome(self, searcher: LedgerSearcher, recorder: Recorder, watch: StallWatch) -> SweepOutcome | None:
        state = self.ledger.state
        if self.stop.signal is not None:
            return SweepOutcome("interrupted", state, signal=self.stop.signal)
        if recorder.failed_alike:
            return SweepOutcome("aborted", state, error=recorder.failed_alike)
        if watch.stalled or state.unfinished:
            return None
        return SweepOutcome("exhausted" if searcher.exhausted else "completed", state)


def _tune_config(searcher: LedgerSearcher, scheduler: RungScheduler, plan: Plan) -> TuneConfig:
    return TuneConfig(
        search_alg=searcher,
        scheduler=scheduler,
        num_samples=searcher.waiting,
        max_concurrent_trials=plan.at_a_time,
        reuse_actors=True,
        trial_name_creator=_trial_name,
        trial_dirname_creator=_trial_name,
    )


def _run_config(scratch: Path, stopper: SweepStopper, recorder: Recorder) -> RunConfig:
    return RunConfig(
        name="tune",
        storage_path=str(scratch),
        stop=stopper,
        callbacks=[recorder],
        failure_config=FailureConfig(max_failures=_FAILURES),
        checkpoint_config=CheckpointConfig(checkpoint_at_end=False),
        verbose=0,
    )


def _nothing_to_do(space: SearchSpace, state: LedgerState) -> SweepOutcome | None:
    """Return how the sweep had ended before, if it had."""
    if state.unfinished:
        return None
    if len(state.trials) >= space.sweep.trials:
        return SweepOutcome("completed", state)
    return SweepOutcome("exhausted", state) if make_proposer(space).propose(state) is None else None


def _fit(tuner: Tuner, recorder: Recorder, folder: SweepFolder) -> None:
    try:
        tuner.fit()
    except TuneError as error:
        if recorder.fault is None:
            raise
        raise SweepError(
            f"cannot write {folder.ledger}: {recorder.fault}; what it holds is whole, so mend that and resume"
        ) from error


@contextmanager
def _scratch(folder: SweepFolder) -> Iterator[Path]:
    """Give Tune a folder for its own files, which are never read back, and remove it."""
    shutil.rmtree(folder.scratch, ignore_errors=True)
    folder.scratch.mkdir()
    try:
        yield folder.scratch
    finally:
        shutil.rmtree(folder.scratch, ignore_errors=True)


@contextmanager
def _log_file(path: Path) -> Iterator[logging.Logger]:
    """Open the sweep's log for more lines."""
    log = logging.Logger(f"iafsweep.sweep.{path.parent.name}", logging.INFO)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()


@contextmanager
def _quiet_tune() -> Iterator[None]:
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
