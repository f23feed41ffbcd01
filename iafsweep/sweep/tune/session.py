"""One driver's training of a sweep: Ray runs, the ledger is open."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ray import tune
from ray.tune import PlacementGroupFactory, Tuner

from iafsweep.data import TrainingImages
from iafsweep.errors import SweepError
from iafsweep.search_space.space import SearchSpace
from iafsweep.signals import StopRequest
from iafsweep.sweep.callbacks.base import SweepProgress
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
from iafsweep.sweep.tune.trainable import SweepTrial, TrialSettings
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
        stop: whether somebody asked for an end.
    """

    space: SearchSpace
    folder: SweepFolder
    images: TrainingImages
    options: LaunchOptions
    progress: SweepProgress
    budget: BudgetWatch
    ledger: Ledger
    log: logging.Logger
    stop: StopRequest

    def run(self, nodes: list[Node]) -> SweepOutcome:
        """Run Tune, anew if it stalls, and say how it ended."""
        plan = self._plan(nodes)
        if self.options.address is not None:
            check_shared_folder(self.folder.path)
        self.ledger.append(Began(at_a_time=plan.at_a_time, time=now(), **stamp()))
        self.progress.begin(plan, self.ledger.state, self.space.sweep.trials)
        population = self._population
        try:
            stalls = 0
            while stalls < _STALLS:
                until = self._next_generation()
                outcome = self._tune(plan, until)
                if outcome is not None:
                    self.log.info("the sweep is %s %s", outcome.status, outcome.reason)
                    self.ledger.append(Ended(outcome=outcome.status, reason=outcome.reason, time=now()))
                    return replace(outcome, state=self.ledger.state)
                if population is not None and population.until(self.ledger.state) != until:
                    continue
                stalls += 1
                self.log.warning("no trial runs although some wait; starting Tune anew from the ledger")
        finally:
            self.progress.end()
        raise SweepError(
            f"{self.folder.path}: trials wait but none starts; see {self.folder.log} and Ray's own logs, then resume"
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

    @property
    def _population(self) -> Population | None:
        return Population(self.space) if self.space.sweep.scheduler == "pbt" else None

    def _next_generation(self) -> int | None:
        """Let members of a population that is ready for it go on from copies; return how far all train now."""
        population = self._population
        if population is None:
            return None
        if (generation := population.generation(self.ledger.state)) is not None:
            self.ledger.append(generation.model_copy(update={"time": now()}))
        for made in make_copies(self.space, self.folder, self.ledger.state):
            values = ", ".join(f"{path.split('.')[-1]} = {value:.4g}" for path, value in made.parameters.items())
            remark = f"{made.trial} goes on from a copy of {made.donor} with {values}"
            self.log.info("%s", remark)
            self.progress.remark(remark)
        return population.until(self.ledger.state)

    def _tune(self, plan: Plan, until: int | None) -> SweepOutcome | None:
        """Run Tune once from the ledger as it is now; None if it stalled, or a generation of a population is complete.

        Args:
            plan: how trials are laid out.
            until: the epoch after which members of a population wait for each other; None: nobody waits.
        """
        searcher = LedgerSearcher(
            self.space,
            self.ledger,
            make_proposer(self.space),
            plan.gpus,
            lambda: lack_of_room(self.space, self.folder.path),
            [trial for trial in self.ledger.state.unfinished if until is None or not has_reached(trial, until)],
        )
        rungs = make_rungs(self.space, self.ledger.state)
        milestones = () if rungs is None else rungs.milestones
        watch = StallWatch(self.options.stalled_seconds)
        recorder = Recorder(self.folder, self.ledger, milestones, self.progress, self.log, watch)
        stopper = SweepStopper(
            lambda: self.stop.asked,
            lambda: bool(recorder.failed_alike),
            lambda: bool(recorder.out_of_room),
            lambda: self.budget.used_up,
            lambda: watch.stalled,
        )
        if searcher.waiting and not self.budget.used_up:
            with scratch_folder(self.folder) as scratch, quiet_tune():
                tuner = Tuner(
                    self._trainable(plan, milestones, until),
                    tune_config=tune_config(searcher, RungScheduler(rungs, self.folder), plan.at_a_time),
                    run_config=run_config(scratch, stopper, recorder),
                )
                self._fit(tuner, recorder)
        return self._outcome(searcher, recorder, watch)

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

    def _fit(self, tuner: Tuner, recorder: Recorder) -> None:
        try:
            tuner.fit()
        except Exception as error:
            if self.ledger.fault is not None:
                raise self.ledger.fault from error
            if recorder.out_of_room:  # Tune's own files, which nobody reads, did not fit either
                return
            raise

    def _outcome(self, searcher: LedgerSearcher, recorder: Recorder, watch: StallWatch) -> SweepOutcome | None:
        state = self.ledger.state
        if self.stop.asked:
            reason = "" if self.stop.signal is not None else "somebody asked it to stop"
            return SweepOutcome("interrupted", state, reason, signal=self.stop.signal)
        if recorder.failed_alike:
            return SweepOutcome("aborted", state, "trial after trial failed alike", error=recorder.failed_alike)
        waiting = bool(state.unfinished) or (len(state.trials) < self.space.sweep.trials and not searcher.exhausted)
        if waiting and (reason := recorder.out_of_room or self.budget.reason or searcher.closed):
            return SweepOutcome("stopped", state, reason)
        if watch.stalled or state.unfinished:
            return None
        return SweepOutcome("exhausted" if searcher.exhausted else "completed", state)


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
