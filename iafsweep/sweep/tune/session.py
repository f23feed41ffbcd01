"""One driver's training of a sweep: Ray runs, the ledger is open."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from ray import tune
from ray.tune import PlacementGroupFactory, Tuner

from iafsweep.data import TrainingImages
from iafsweep.errors import SweepError
from iafsweep.search_space.space import SearchSpace
from iafsweep.shown_command import sweep_command
from iafsweep.signals import StopRequest
from iafsweep.sweep.callbacks.base import StopReason, SweepCallback
from iafsweep.sweep.callbacks.budget import BudgetWatch
from iafsweep.sweep.cluster.disk import lack_of_room
from iafsweep.sweep.cluster.resources import Node, Plan, plan_training, plan_trials
from iafsweep.sweep.cluster.shared_folder import check_shared_folder
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.asha import make_rungs
from iafsweep.sweep.schedulers.pbt import Population, has_reached
from iafsweep.sweep.schedulers.pbt_exploit import make_copies
from iafsweep.sweep.storage.events import Began, Ended, SweepStatus, now
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.tune.ledger_callback import Recorder
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.sweep.tune.scheduler import RungScheduler
from iafsweep.sweep.tune.searcher import LedgerSearcher
from iafsweep.sweep.tune.stopper import StallWatch, SweepStopper
from iafsweep.sweep.tune.trainable import SweepTrial
from iafsweep.sweep.tune.trial_run import TrialSettings
from iafsweep.sweep.tune.tune_config import quiet_tune, run_config, scratch_folder, tune_config
from iafsweep.version import stamp

_STALLS = 3


@dataclass(frozen=True)
class Session:
    """Trains the trials that are left.

    Attributes:
        space: the search space.
        folder: the sweep folder, whose lock this process holds.
        images: training and validation images, uint8, on the CPU.
        options: on what it runs.
        progress: who hears of it.
        budget: when enough was spent; hears through ``progress``.
        ledger: the ledger, open.
        log: the sweep's log.
        request: whether somebody asked for an end.
        stop: why it ends; all who may end it write to it.
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

        Args:
            plan: how trials are laid out.
            until: the epoch after which members of a population wait for each other; None: nobody waits.

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
        plan = plan_training(nodes, sweep, waiting, may_grow=self.options.wait)
        self.log.info("%d trials to go, %s", waiting, plan)
        return plan

    def _exchange(self, population: Population) -> None:
        """Let members of a population that is ready for it go on from copies."""
        if (generation := population.generation(self.ledger.state)) is not None:
            self.ledger.append(generation.model_copy(update={"time": now()}))
        for made in make_copies(self.space, self.folder, self.ledger.state):
            values = ", ".join(f"{path.split('.')[-1]} = {value:.4g}" for path, value in made.parameters.items())
            message = f"{made.trial} goes on from a copy of {made.donor} with {values}"
            self.log.info("%s", message)
            self.progress.message(message)

    def _tune(self, plan: Plan, until: int | None) -> SweepOutcome | None:
        """Run Tune once from the ledger as it is; None if it stalled, or all members of a population are as far."""
        self.stop.begin()
        self.folder.end_trials.unlink(missing_ok=True)
        searcher = LedgerSearcher(
            self.space,
            self.ledger,
            make_proposer(self.space),
            plan.gpus,
            lambda: lack_of_room(self.space, self.folder.path),
            [trial for trial in self.ledger.state.unfinished if until is None or not has_reached(trial, until)],
            self.stop,
        )
        rungs = make_rungs(self.space, self.ledger.state)
        milestones = () if rungs is None else rungs.milestones
        watch = StallWatch(self.options.stalled_seconds)
        recorder = Recorder(self.folder, self.ledger, milestones, self.progress, self.log, watch, self.stop)
        if searcher.waiting and not self._should_end():
            with scratch_folder(self.folder) as scratch, quiet_tune():
                tuner = Tuner(
                    self._trainable(plan, milestones, until),
                    tune_config=tune_config(searcher, RungScheduler(rungs, self.folder), plan.at_a_time),
                    run_config=run_config(scratch, SweepStopper(self._should_end), recorder),
                )
                self._fit(tuner)
        return self._outcome()

    def _trainable(self, plan: Plan, milestones: tuple[int, ...], until: int | None) -> type[SweepTrial]:
        settings = TrialSettings(
            self.folder.path, plan.cpus, milestones, self.options.open_trainer, self.options.take_device, until
        )
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
