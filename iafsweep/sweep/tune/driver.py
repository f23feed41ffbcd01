"""Run a sweep: begin it or go on with it, in the same way; a session is one driver's training, while Ray runs."""

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
    """Train trials until there are as many as ``space.sweep.trials``; an empty folder begins, a used one goes on.

    Finished trials are given to the sampler and the rungs, unfinished ones go on first and from their run folders, then
    new ones are proposed. Nothing but the ledger and the run folders is read back.

    ``space`` is, of a used folder, that of :func:`load_sweep_space`, perhaps with more trials. ``images`` are uint8, on
    the CPU.

    Raises:
        DataError: its trials were trained on other images.
        SweepError: another driver holds the folder, its ledger cannot be used or is of another space, nobody can give
            what a trial asks for, the disk is too full, or Ray does not start.
    """
    check_resources(space, folder, options)
    return train_sweep(space, folder, images, options, progress)


def train_sweep(
    space: SearchSpace, folder: SweepFolder, images: TrainingImages, options: LaunchOptions, progress: SweepCallback
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
            callbacks = CallbackList(budget, progress)
            session = Session(space, folder, images, options, callbacks, budget, ledger, log, request, stop)
            with options.ray() as nodes:
                return session.run(nodes)


def _nothing_to_do(space: SearchSpace, state: LedgerState) -> SweepOutcome | None:
    """Return how the sweep had ended before, if it had."""
    if state.unfinished:
        return None
    are_all = len(state.trials) >= space.sweep.trials
    if not are_all and make_proposer(space).propose(state) is not None:
        return None
    if promotion(make_stop_rule(space, state), state) is not None:
        return None
    return SweepOutcome("completed" if are_all else "exhausted", state)


def _with_an_end(outcome: SweepOutcome, ledger: Ledger) -> SweepOutcome:
    """Write down how the sweep ended if the last driver was killed before it could, behind its last trial.

    So too if trials were asked for since, and there are none to propose: whoever looks is not told to go on.
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
    """Trains the trials that are left.

    This process holds the lock of ``folder``; ``images`` are uint8, on the CPU; ``budget`` hears through ``progress``;
    all who may end the training write to ``stop``.
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
        """Train what is left and say how it ended."""
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
        self.log.info("the sweep is %s %s", outcome.status, outcome.reason)
        self.ledger.append(Ended(outcome=outcome.status, reason=outcome.reason, time=now()))
        return replace(outcome, state=self.ledger.state)

    def _train_population(self, plan: Plan) -> SweepOutcome | None:
        """Train generation after generation; between two of them weak members go on from copies of strong ones."""
        population, outcome = Population(self.space), None
        while outcome is None:
            self._exchange(population)
            outcome = self._train(plan, population.until(self.ledger.state))
        return outcome

    def _train(self, plan: Plan, until: int | None = None) -> SweepOutcome | None:
        """Run Tune, anew from the ledger if it stalls.

        ``until`` is the epoch after which members of a population wait for each other; None: nobody waits.

        Returns:
            None if all members of a population have come so far.
        """
        for _ in range(_STALLS):
            outcome = self._tune(plan, until)
            is_complete = until is not None and Population(self.space).until(self.ledger.state) != until
            if outcome is not None or is_complete:
                return outcome
            self.log.warning("no trial runs although some wait; starting Tune anew from the ledger")
        raise SweepError(
            f"{self.folder.path}: trials wait but none starts; see {self.folder.log} and Ray's own logs, then go on: "
            f"{sweep_command('resume', self.folder.path)}"
        )

    def _plan(self, nodes: list[Node]) -> Plan:
        """Return the plan; a trial that was opened again may ask for more than the others."""
        sweep, state = self.space.sweep, self.ledger.state
        waiting = len(state.unfinished) + max(sweep.trials - len(state.trials), 0)
        for gpus in {trial.gpus for trial in state.unfinished if trial.gpus is not None}:
            plan_trials(nodes, sweep.model_copy(update={"gpus_per_trial": gpus}), 1, may_grow=self.options.wait)
        most = beginnings(make_stop_rule(self.space, state), state, waiting, sweep.trials)
        plan = plan_training(nodes, sweep, most, may_grow=self.options.wait)
        self.log.info("%d trials to go, %s", waiting, plan)
        return plan

    def _exchange(self, population: Population) -> None:
        """Let members of a population that is ready for it go on from copies."""
        if (generation := population.generation(self.ledger.state)) is not None:
            self.ledger.append(generation.model_copy(update={"time": now()}))
        for made in make_copies(self.space, self.folder, self.ledger.state):
            values = ", ".join(
                f"{path.split('.')[-1]} = {value_text(value)}" for path, value in made.parameters.items()
            )
            message = f"{made.trial} goes on from a copy of {made.donor} with {values}"
            self.log.info("%s", message)
            self.progress.message(message)

    def _tune(self, plan: Plan, until: int | None) -> SweepOutcome | None:
        """Run Tune once from the ledger as it is; None if it stalled, or all members of a population are as far."""
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
            if self.stop.cause == "full disk":  # Tune's own files, which nobody reads, did not fit either
                return
            raise

    def _should_end(self) -> bool:
        """Ask those who say nothing of their own accord, and return whether Tune's loop should end."""
        if self.request.asked:
            self.stop.give("interrupted", "" if self.request.signal is not None else "somebody asked it to stop")
        self.budget.look_at_the_clock()
        if self.stop.ends_running and not self.folder.end_trials.exists():
            with suppress(OSError):  # no room: trials look for it after a step, and Tune waits ten seconds for them
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
    """How a sweep ended, this time.

    Attributes:
        status: ``completed``: as many trials as asked for; ``exhausted``: the sampler found nothing new before that;
            ``stopped``: a budget is used up or the disk is full; ``interrupted``: a signal, or ``stop``;
            ``aborted``: trial after trial failed in the same place.
        state: the ledger.
        reason: what ended it before its last trial, in words.
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
