"""Searches of other programs (Optuna, Ray), run by their own code on the simulated clock.

Both receive a report after every epoch. Ray's searcher and scheduler are called without Ray's runtime, in the order in
which its controller calls them (``TuneController._process_trial_result``, ``_schedule_trial_stop``). Nothing else in
Tune affects which trials begin and which are stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import optuna
from optuna.trial import TrialState as Ended
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Finished, Header, Proposed, trial_name
from iafsweep.sweep.storage.state import LedgerState, Replay, TrialState


class _Asked:
    """Values as a user's own objective would ask an Optuna trial for them."""

    def __init__(self, trial: Any) -> None:  # noqa: ANN401 - Optuna's, or Ray's kind of it
        self._trial = trial

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        chosen: Scalar = self._trial.suggest_categorical(name, options)
        return chosen

    def integer(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        chosen: int = self._trial.suggest_int(name, low, high, step=step, log=log)
        return chosen

    def real(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        chosen: float = self._trial.suggest_float(name, low, high, step=step, log=log)
        return chosen


class _Peer:
    """Trials by our names; a configuration that is proposed twice trains with another seed."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.seed = space.sweep.seed
        self.milestones = tuple(range(1, space.most_epochs))
        self._rows = Replay(Header(sweep="peer", created="t", seed=self.seed, space=""))
        self._number = 0

    @property
    def state(self) -> LedgerState:
        """What happened."""
        return self._rows.state()

    def _issue(self, values: dict[str, Scalar]) -> TrialState:
        found = candidate(self.space, values, repeat=self._number)
        assert found is not None
        row = Proposed(trial=trial_name(self._number), number=self._number, **found.proposal, time="t")
        self._rows.take(row)
        return TrialState(row)


class OptunaPeer(_Peer):
    """An Optuna study with its default sampler, asked and told; stopped trials are told as pruned."""

    def __init__(self, space: SearchSpace, pruner: optuna.pruners.BasePruner) -> None:
        super().__init__(space)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=self.seed)
        name = f"peer-{self.seed}"  # by which Hyperband draws brackets; without it another one each time
        self._study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner, study_name=name)
        self._trials: dict[str, optuna.Trial] = {}

    def begin(self, seconds: float) -> TrialState | None:
        """Ask for the next trial."""
        if self._number >= self.space.sweep.trials:
            return None
        self._number += 1
        asked = self._study.ask()
        self._trials[trial_name(self._number)] = asked
        return self._issue(self.space.suggest(_Asked(asked)))

    def report(self, trial: str, epoch: int, value: float, seconds: float) -> bool:
        """Report an epoch and ask the pruner."""
        self._trials[trial].report(value, epoch)
        return self._trials[trial].should_prune()

    def take(self, row: Finished) -> None:
        """Tell the study how a trial ended: its best bound, that it was pruned, or that it failed."""
        self._rows.take(row)
        asked = self._trials.pop(row.trial)
        if row.status == "completed" and row.value is not None:
            asked.report(row.value, row.epochs)
            self._study.tell(asked, row.best_value)
        else:
            self._study.tell(asked, state=Ended.PRUNED if row.status == "stopped" else Ended.FAIL)


class RayPeer(_Peer):
    """Ray's ``OptunaSearch`` with its ``ASHAScheduler``."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__(space)
        logging.getLogger("ray.tune").setLevel(logging.ERROR)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search = OptunaSearch(self._define, metric="bound", mode="min", seed=self.seed)
        self._scheduler = ASHAScheduler(metric="bound", mode="min", max_t=space.most_epochs)

    def begin(self, seconds: float) -> TrialState | None:
        """Ask the searcher for a configuration and add its trial to the scheduler."""
        if self._number >= self.space.sweep.trials:
            return None
        self._number += 1
        name = trial_name(self._number)
        values = self._search.suggest(name)
        assert values is not None
        self._scheduler.on_trial_add(_CONTROLLER, _trial(name))
        return self._issue(self.space.active(values))

    def report(self, trial: str, epoch: int, value: float, seconds: float) -> bool:
        """Ask the scheduler; tell the searcher if the trial goes on."""
        result = {"bound": value, "training_iteration": epoch}
        if self._scheduler.on_trial_result(_CONTROLLER, _trial(trial), result) == "STOP":
            return True
        self._search.on_trial_result(trial, result)
        return False

    def take(self, row: Finished) -> None:
        """Tell both how a trial ended: with its last result, stopped or not."""
        self._rows.take(row)
        if row.status in ("completed", "stopped"):
            result = {"bound": row.value, "training_iteration": row.epochs}
            if row.status == "completed":
                self._scheduler.on_trial_result(_CONTROLLER, _trial(row.trial), result)
            self._scheduler.on_trial_complete(_CONTROLLER, _trial(row.trial), result)
            self._search.on_trial_complete(row.trial, result)
        else:
            self._scheduler.on_trial_remove(_CONTROLLER, _trial(row.trial))
            self._search.on_trial_complete(row.trial, error=True)

    def _define(self, asked: Any) -> dict[str, Scalar]:  # noqa: ANN401 - Ray's own kind of an Optuna trial
        return dict(self.space.suggest(_Asked(asked)))


_CONTROLLER: Any = None
"""Ray's controller of trials, which its scheduler does not look at."""


def _trial(name: str) -> Any:  # noqa: ANN401 - as much of Ray's kind of it as the scheduler looks at
    return SimpleNamespace(trial_id=name)
