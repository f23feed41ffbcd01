"""Run a sweep: starting and resuming are the same; a session is the training of one driver while Ray runs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, PlacementGroupFactory, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial

from iafsweep.config.plugins import loaded_names
from iafsweep.data import TrainingImages
from iafsweep.data.fingerprint import refuse_other_images
from iafsweep.errors import SweepError
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command
from iafsweep.signals import StopRequest
from iafsweep.sweep.callbacks.base import CallbackList, StopReason, SweepCallback
from iafsweep.sweep.callbacks.budget import BudgetWatch
from iafsweep.sweep.cluster.footprint import lack_of_room
from iafsweep.sweep.cluster.health_check import check_shared_folder
from iafsweep.sweep.cluster.resources import Node, Plan, plan_training, plan_trials
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.base import beginnings, make_stop_rule, promotion
from iafsweep.sweep.schedulers.pbt import Population, has_reached, make_copies
from iafsweep.sweep.storage.environment import record_environment
from iafsweep.sweep.storage.events import Began, Ended, SweepStatus, now
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.stored_sweep import load_sweep_space, open_ledger
from iafsweep.sweep.tune.ledger_callback import Recorder
from iafsweep.sweep.tune.options import LaunchOptions, check_resources
from iafsweep.sweep.tune.scheduler import RuledScheduler, StallWatch, SweepStopper
from iafsweep.sweep.tune.searcher import LedgerSearcher
from iafsweep.sweep.tune.trainable import SweepTrial
from iafsweep.sweep.tune.trial_run import TrialSettings
from iafsweep.texts import value_text
from iafsweep.version import stamp

__all__ = ["LaunchOptions", "launch_sweep", "load_sweep_space"]


def launch_sweep(
    space: SearchSpace, folder: SweepFolder, images: TrainingImages, options: LaunchOptions, progress: SweepCallback
) -> SweepOutcome:
    """Train until there are ``space.sweep.trials`` trials: start a sweep in an empty folder, or resume a used one's.

    The sampler and the rungs are given the finished trials. Unfinished trials resume first, from their run folders;
    then new ones are proposed. Only the ledger and the run folders are read back.

    For a used folder, ``space`` is that of :func:`load_sweep_space`, perhaps with more trials. ``images`` are uint8, on
    the CPU.

    Raises:
        DataError: trials in the folder were trained on other images.
        SweepError: another driver holds the folder, its ledger cannot be used or belongs to another space, no node
            offers what a trial asks for, the disk is too full, or Ray does not start.
    """
    check_resources(space, folder, options)
    return train_sweep(space, folder, images, options, progress)


def train_sweep(
    space: SearchSpace, folder: SweepFolder, images: TrainingImages, options: LaunchOptions, progress: SweepCallback
) -> SweepOutcome:
    """Run :func:`launch_sweep` without :func:`check_resources`, which the caller has already called."""
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
            callbacks = CallbackList(budget, progress)
            session = Session(space, folder, images, options, callbacks, budget, ledger, log, request, stop)
            with options.ray() as nodes:
                return session.run(nodes)


def _nothing_to_do(space: SearchSpace, state: LedgerState) -> SweepOutcome | None:
    """Return the outcome if nothing is left to train or to propose; else None."""
    if state.unfinished:
        return None
    are_all = len(state.trials) >= space.sweep.trials
    if not are_all and make_proposer(space).propose(state) is not None:
        return None
    if promotion(make_stop_rule(space, state), state) is not None:
        return None
    return SweepOutcome("completed" if are_all else "exhausted", state)


def _with_an_end(outcome: SweepOutcome, ledger: Ledger) -> SweepOutcome:
    """Record the sweep's end if the last driver was killed after its last trial, before it could do so.

    Record it too if more trials were requested since but none can be proposed, so that nobody is told to resume.
    """
    last = ledger.state.sessions[-1] if ledger.state.sessions else None
    is_new = outcome.status == "exhausted" and isinstance(last, Ended) and last.outcome == "completed"
    if ledger.state.is_open or is_new:
        ledger.append(Ended(outcome=outcome.status, time=now()))
    return replace(outcome, state=ledger.state)


@contextmanager
def _log_file(path: Path) -> Iterator[logging.Logger]:
    log = logging.Logger(f"iafsweep.sweep.{path.parent.name}", logging.INFO)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield log
    finally:
        log.removeHandler(handler)
        handler.close()


_STALLS = 3


@dataclass(frozen=True)
class Session:
    """The training of the remaining trials by one driver.

    This process holds the lock of ``folder``. ``images`` are uint8, on the CPU. ``budget`` is called through
    ``progress``. Everything that can end the training sets ``stop``.
    """

    space: SearchSpace
    folder: SweepFolder
    images: TrainingImages
    options: LaunchOptions
    progress: SweepCallback
    budget: BudgetWatch
    ledger: Ledger
    log: logging.Logger
    request: StopRequest
    stop: StopReason

    def run(self, nodes: list[Node]) -> SweepOutcome:
        """Train the remaining trials and return how the sweep ended."""
        plan = self._plan(nodes)
        if self.options.address is not None:
            check_shared_folder(self.folder.path)
        self.ledger.append(Began(at_a_time=plan.at_a_time, time=now(), **stamp()))
        self.progress.begin(plan, self.ledger.state, self.space.sweep.trials)
        try:
            outcome = self._train_population(plan) if self.space.sweep.scheduler == "pbt" else self._train(plan)
        finally:
            self.progress.end()
        assert outcome is not None
        self.log.info("the sweep is %s", ": ".join(filter(None, (outcome.status, outcome.reason))))
        self.ledger.append(Ended(outcome=outcome.status, reason=outcome.reason, time=now()))
        return replace(outcome, state=self.ledger.state)

    def _train_population(self, plan: Plan) -> SweepOutcome | None:
        """Train generation by generation; in between, weak members continue from copies of strong ones."""
        population, outcome = Population(self.space), None
        while outcome is None:
            self._exchange(population)
            outcome = self._train(plan, population.until(self.ledger.state))
        return outcome

    def _train(self, plan: Plan, until: int | None = None) -> SweepOutcome | None:
        """Run Tune, and restart it from the ledger if it stalls.

        ``until`` is the epoch after which members of a population wait for each other; None: nobody waits.

        Returns:
            The outcome; None if all members of a population have reached ``until``.
        """
        for _ in range(_STALLS):
            outcome = self._tune(plan, until)
            is_complete = until is not None and Population(self.space).until(self.ledger.state) != until
            if outcome is not None or is_complete:
                return outcome
            self.log.warning("no trial is running although some are waiting; restarting Tune from the ledger")
        raise SweepError(
            f"{self.folder.path}: trials are waiting but none starts; check {self.folder.log} and Ray's own logs, then "
            f"continue: {sweep_command('resume', self.folder.path)}"
        )

    def _plan(self, nodes: list[Node]) -> Plan:
        """Return the plan, after checking that reopened trials fit too, which may ask for more GPUs than the others."""
        sweep, state = self.space.sweep, self.ledger.state
        waiting = len(state.unfinished) + max(sweep.trials - len(state.trials), 0)
        for gpus in {trial.gpus for trial in state.unfinished if trial.gpus is not None}:
            plan_trials(nodes, sweep.model_copy(update={"gpus_per_trial": gpus}), 1, may_grow=self.options.wait)
        most = beginnings(make_stop_rule(self.space, state), state, waiting, sweep.trials)
        plan = plan_training(nodes, sweep, most, may_grow=self.options.wait)
        self.log.info("%d trials to go, %s", waiting, plan)
        return plan

    def _exchange(self, population: Population) -> None:
        """Make the copies that weak members of a population continue from, if an exchange is due."""
        if (generation := population.generation(self.ledger.state)) is not None:
            self.ledger.append(generation.model_copy(update={"time": now()}))
        for made in make_copies(self.space, self.folder, self.ledger.state):
            values = ", ".join(
                f"{path.split('.')[-1]} = {value_text(value)}" for path, value in made.parameters.items()
            )
            message = f"{made.trial} continues from a copy of {made.donor} with {values}"
            self.log.info("%s", message)
            self.progress.message(message)

    def _tune(self, plan: Plan, until: int | None) -> SweepOutcome | None:
        """Run Tune once from the ledger; return None if it stalled or all of a population have reached ``until``."""
        self.stop.begin()
        self.folder.end_trials.unlink(missing_ok=True)
        rule = make_stop_rule(self.space, self.ledger.state)
        searcher = LedgerSearcher(
            self.space,
            self.ledger,
            make_proposer(self.space),
            rule,
            plan.gpus,
            lambda: lack_of_room(self.space, self.folder.path),
            [trial for trial in self.ledger.state.unfinished if until is None or not has_reached(trial, until)],
            self.stop,
        )
        milestones = () if rule is None else rule.milestones
        watch = StallWatch(self.options.stalled_seconds)
        recorder = Recorder(self.folder, self.ledger, milestones, self.progress, self.log, watch, self.stop)
        if searcher.waiting and not self._should_end():
            with scratch_folder(self.folder) as scratch, quiet_tune():
                tuner = Tuner(
                    self._trainable(plan, milestones, until),
                    tune_config=tune_config(searcher, RuledScheduler(rule, self.folder), plan.at_a_time),
                    run_config=run_config(scratch, SweepStopper(self._should_end), recorder),
                )
                self._fit(tuner)
        return self._outcome()

    def _trainable(self, plan: Plan, milestones: tuple[int, ...], until: int | None) -> type[SweepTrial]:
        opener, taker = self.options.open_trainer, self.options.take_device
        settings = TrialSettings(self.folder.path, plan.cpus, milestones, opener, taker, until, loaded_names())
        trainable = tune.with_parameters(
            SweepTrial,
            training=self.images.training.numpy(),
            validation=self.images.validation.numpy(),
            settings=settings,
        )
        cpus = plan.cpus
        resources = tune.with_resources(
            trainable, lambda config: PlacementGroupFactory([{"CPU": cpus, "GPU": config["gpus"]}])
        )
        assert isinstance(resources, type)
        return resources

    def _fit(self, tuner: Tuner) -> None:
        try:
            tuner.fit()
        except Exception as error:
            if self.ledger.fault is not None:
                raise self.ledger.fault from error
            if self.stop.cause == "full disk":  # Tune's own files, which nobody reads, found no room either
                return
            raise

    def _should_end(self) -> bool:
        """Poll the stop request and the clock, and return whether Tune's loop should end."""
        if self.request.asked:
            self.stop.give("interrupted", "" if self.request.signal is not None else "a user asked it to stop")
        self.budget.look_at_the_clock()
        if self.stop.ends_running and not self.folder.end_trials.exists():
            with suppress(OSError):  # a full disk; trials poll for the file, and Tune waits ten seconds for them
                self.folder.end_trials.touch()
        return self.stop.ends_running

    def _outcome(self) -> SweepOutcome | None:
        self._should_end()
        state, stop = self.ledger.state, self.stop
        if stop.cause == "interrupted":
            return SweepOutcome("interrupted", state, stop.text, signal=self.request.signal)
        if stop.cause == "aborted":
            return SweepOutcome("aborted", state, stop.text, error=stop.error)
        waiting = bool(state.unfinished) or (len(state.trials) < self.space.sweep.trials and not stop.exhausted)
        if waiting and stop.cause in ("full disk", "stopped"):
            return SweepOutcome("stopped", state, stop.text)
        if stop.cause == "stalled" or state.unfinished:
            return None
        return SweepOutcome("exhausted" if stop.exhausted else "completed", state)


@dataclass(frozen=True)
class SweepOutcome:
    """How one driver's session of a sweep ended.

    Attributes:
        status: ``completed``: all requested trials have ended; ``exhausted``: the sampler found nothing new before
            that; ``stopped``: a budget is used up or the disk is full; ``interrupted``: a signal, or ``stop``;
            ``aborted``: several trials in a row failed in the same place.
        state: the ledger.
        reason: why it ended before its last trial, in words.
        signal: the signal's number when interrupted.
        error: the traceback when aborted.
    """

    status: SweepStatus
    state: LedgerState
    reason: str = ""
    signal: int | None = None
    error: str = ""

    @property
    def exit_code(self) -> int:
        """0; 128 + the signal when interrupted (130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP); 1 when aborted."""
        if self.status == "interrupted":
            return 128 + (self.signal or 2)
        return 1 if self.status == "aborted" else 0


_FAILURES = 3
"""How often a trial may continue in a new process (worker killed, file or CUDA fault) before it counts as failed."""


def tune_config(searcher: LedgerSearcher, scheduler: RuledScheduler, at_a_time: int) -> TuneConfig:
    """Return Tune's searcher, scheduler and number of trials."""
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
    """Return Tune's storage folder, number of retries, stopper and callbacks."""
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
    """Give Tune a folder for its own files, which are never read back, and remove it afterwards."""
    shutil.rmtree(folder.scratch, ignore_errors=True)
    folder.scratch.mkdir()
    try:
        yield folder.scratch
    finally:
        shutil.rmtree(folder.scratch, ignore_errors=True)


@contextmanager
def quiet_tune() -> Iterator[None]:
    """Silence Tune's own messages; the recorder reports what matters."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _trial_name(trial: Trial) -> str:
    return str(trial.config["trial"])
