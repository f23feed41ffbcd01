"""The searcher that gives Tune its trials: first the ledger's unfinished ones, then promoted ones, then new ones."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ray.tune.search import Searcher

from iafsweep.errors import SweepError
from iafsweep.records import METRIC, MODE
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.callbacks.base import StopReason
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.schedulers.base import PromotingRule, StopRule, beginnings, promoted, promotion
from iafsweep.sweep.storage.events import Proposed, now, trial_name
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.state import LedgerState, TrialState


class LedgerSearcher(Searcher):
    """Gives Tune its trials; the ledger is its only memory.

    Ray's ``OptunaSearch`` tells Optuna that early-stopped trials are complete, leaves those without a finite bound
    running forever, and forgets failed ones. Here the ledger says how each trial ended, and every proposal is computed
    from it. ``rule`` may promote trials that it stopped. ``obstacle`` returns why no trial may start now, empty if one
    may. ``unfinished`` are the trials to resume. ``stop`` is set when the sampler finds nothing new, or when there is
    an obstacle: no further trial starts then.
    """

    def __init__(
        self,
        space: SearchSpace,
        ledger: Ledger,
        proposer: Proposer,
        rule: StopRule | None,
        gpus: float,
        obstacle: Callable[[], str],
        unfinished: Iterable[TrialState],
        stop: StopReason,
    ) -> None:
        super().__init__(metric=METRIC, mode=MODE)
        self._space, self._ledger, self._proposer, self._rule = space, ledger, proposer, rule
        self._trials = space.sweep.trials
        self._obstacle = obstacle
        self._gpus = gpus
        self._unfinished = deque(unfinished)
        self._stop = stop
        self._is_closed = False

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its components into a file that is never read back."""
        return {}

    @property
    def waiting(self) -> int:
        """How often trials may start or resume at most: unfinished ones, proposals still to come, and promotions."""
        state = self._ledger.state
        waiting = len(self._unfinished) + max(self._trials - len(state.trials), 0)
        return beginnings(self._rule, state, waiting, self._trials)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next trial's name, configuration and GPUs, or what tells Tune that there is none (yet)."""
        if not self._is_closed and (obstacle := self._obstacle()):
            self._is_closed = True
            self._stop.give("stopped", obstacle, ends_running=False)
        if self._is_closed:
            return str(self.FINISHED)
        if self._unfinished:
            return self._issue(self._unfinished.popleft())
        state = self._ledger.state
        if (best := promotion(self._rule, state)) is not None:
            for event in promoted(best, now()):
                self._ledger.append(event)
            return self._issue(self._ledger.state.named[best.trial])
        if len(state.trials) >= self._trials:
            return self._nothing_new(state)
        found = None if self._stop.exhausted else self._proposer.propose(state)
        if found is None:
            self._stop.exhausted = True
            return self._nothing_new(state)
        number = state.last_number + 1
        row = Proposed(trial=trial_name(number), number=number, **found.proposal, time=now())
        self._ledger.append(row)
        return self._issue(TrialState(row))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing to do: the ledger has it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: the ledger has it."""

    def _nothing_new(self, state: LedgerState) -> str | None:
        """Return that no trial follows; or None, so that Tune asks again, while unfinished trials may be promoted."""
        return None if isinstance(self._rule, PromotingRule) and state.unfinished else str(self.FINISHED)

    def _issue(self, trial: TrialState) -> dict[str, Any]:
        row = trial.proposed
        found, first = (candidate(self._space, row.parameters, afresh, row.repeat) for afresh in (trial.afresh, 0))
        if found is None or first is None or found.key != row.key or first.config.training.seed != row.seed:
            raise SweepError(
                f"{row.trial} in the ledger is not a configuration of this search space; restore the original "
                f"sweep.toml"
            )
        gpus = self._gpus if trial.gpus is None else trial.gpus
        return {"trial": row.trial, "config": found.config.model_dump_json(), "gpus": gpus}
