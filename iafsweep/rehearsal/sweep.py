"""A sweep without a folder: it proposes and decides as a driver does, with the ledger in memory."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.base import make_stop_rule, promoted, promotion
from iafsweep.sweep.storage.events import Event, Header, Proposed, Rung, Started, trial_name
from iafsweep.sweep.storage.state import LedgerState, Replay, TrialState
from iafsweep.sweep.storage.stored_sweep import space_hash

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class RehearsedSweep:
    """The sampler, the scheduler and the ledger of a sweep, driven by a clock.

    At each turn it does what the Ray Tune searcher, scheduler and callback of a real sweep do, in the same order.

    Args:
        space: the space, with its sampler, scheduler, seed and number of trials.
        rows: rows of a ledger to resume; its unfinished trials come first.
    """

    def __init__(self, space: SearchSpace, rows: Iterable[Event] = ()) -> None:
        self.space = space
        seed, created = space.sweep.seed, stamp(0)
        self.header = Header(sweep="rehearsal", created=created, seed=seed, space=space_hash(space))
        self._rows = Replay(self.header)
        for row in rows:
            self._rows.take(row)
        state = self.state
        self._proposer, self._rule = make_proposer(space), make_stop_rule(space, state)
        self._unfinished = deque(state.unfinished)
        self._passed = {(trial.trial, rung.epoch) for trial in state.trials for rung in trial.rungs}
        self._is_exhausted = False
        self.milestones = () if self._rule is None else self._rule.milestones

    @property
    def seed(self) -> int:
        """The sweep's seed."""
        return self.space.sweep.seed

    @property
    def state(self) -> LedgerState:
        """The state of the ledger now."""
        return self._rows.state()

    def begin(self, seconds: float) -> TrialState | None:
        """Start the next trial, new or resumed; None if there is none at present."""
        if self._unfinished:
            trial: TrialState | None = self._unfinished.popleft()
        else:
            state = self.state
            trial = self._promoted(state, seconds) or self._proposed(state, seconds)
        if trial is not None:
            self._rows.take(Started(trial=trial.trial, time=stamp(seconds)))
        return trial

    def report(self, trial: str, epoch: int, value: float, seconds: float) -> bool:
        """Record a trial's bound after a milestone; return whether it should stop. The caller records its end."""
        if self._rule is not None and self._rule.record(trial, epoch, value):
            return True
        if (trial, epoch) not in self._passed:  # a trial that resumes from a rung's checkpoint reports it again
            self._passed.add((trial, epoch))
            self._rows.take(Rung(trial=trial, epoch=epoch, value=value, time=stamp(seconds)))
        return False

    def take(self, row: Event) -> None:
        """Record any other event, such as a trial's end."""
        self._rows.take(row)

    def _promoted(self, state: LedgerState, seconds: float) -> TrialState | None:
        best = promotion(self._rule, state)
        if best is None:
            return None
        reopened, rung = promoted(best, stamp(seconds))
        self._rows.take(reopened)
        self._rows.take(rung)
        self._passed.add((rung.trial, rung.epoch))
        return self.state.named[best.trial]

    def _proposed(self, state: LedgerState, seconds: float) -> TrialState | None:
        if self._is_exhausted or len(state.trials) >= self.space.sweep.trials:
            return None
        if (found := self._proposer.propose(state)) is None:
            self._is_exhausted = True
            return None
        number = state.last_number + 1
        row = Proposed(trial=trial_name(number), number=number, **found.proposal, time=stamp(seconds))
        self._rows.take(row)
        return TrialState(row)


def stamp(seconds: float) -> str:
    """Return the time of a row that is written ``seconds`` after a rehearsal began."""
    return (_BEGINNING + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
