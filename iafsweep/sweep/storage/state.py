"""The state that a ledger describes, as a pure function of its rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from iafsweep.search_space.candidate import Candidate, candidate
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import (
    Began,
    Ended,
    Event,
    Finished,
    Generation,
    Header,
    Known,
    Proposed,
    Reopened,
    Rung,
    SessionEvent,
    Started,
    TrialEvent,
)


@dataclass(frozen=True)
class TrialState:
    """The state of one trial, from its rows.

    Attributes:
        proposed: its proposal.
        starts: how many processes began or continued it.
        rungs: rungs it passed, in order.
        finished: how it ended; None if it has not.
        gpus: GPUs requested for it alone when it was reopened; None: as many as the others.
        reopened: how often it was reopened after it had ended.
        afresh: how often it started over with another seed.
        spent_gpu_seconds: GPU-seconds of discarded attempts.
        donors: members of its population whose copies it continued from, in order; ``proposed`` has its current values.
    """

    proposed: Proposed
    starts: int = 0
    rungs: tuple[Rung, ...] = ()
    finished: Finished | None = None
    gpus: float | None = None
    reopened: int = 0
    afresh: int = 0
    spent_gpu_seconds: float = 0.0
    donors: tuple[str, ...] = ()

    @property
    def trial(self) -> str:
        """The trial's name."""
        return self.proposed.trial

    def candidate(self, space: SearchSpace) -> Candidate | None:
        """Return the configuration that the trial trains; None if it is not, or no longer, in ``space``."""
        return candidate(space, self.proposed.parameters, self.afresh, self.proposed.repeat)


@dataclass(frozen=True)
class LedgerState:
    """A ledger read to its end.

    Attributes:
        header: which sweep it is.
        trials: every trial, by number of proposal.
        events: the usable rows in their order, which is the order in which things happened.
        problems: what was wrong with other rows, one sentence each.
        last_number: highest number of any proposal seen, so that no name is given twice.
        sessions: when drivers began and ended, in order.
        known: trials of earlier sweeps, for the sampler.
        keys: keys of all configurations proposed.
        generations: the generations of a population that have ended, by epoch.
    """

    header: Header
    trials: tuple[TrialState, ...]
    events: tuple[Event, ...]
    problems: tuple[str, ...]
    last_number: int
    keys: frozenset[str] = frozenset()
    sessions: tuple[SessionEvent, ...] = ()
    known: tuple[Known, ...] = ()
    generations: Mapping[int, Generation] = field(default_factory=dict)

    @cached_property
    def finished(self) -> tuple[TrialState, ...]:
        """Trials that ended, in whatever way."""
        return tuple(trial for trial in self.trials if trial.finished is not None)

    @cached_property
    def unfinished(self) -> tuple[TrialState, ...]:
        """Trials that were proposed and have not ended."""
        return tuple(trial for trial in self.trials if trial.finished is None)

    @cached_property
    def named(self) -> Mapping[str, TrialState]:
        """The trials by name."""
        return {trial.trial: trial for trial in self.trials}

    @cached_property
    def gpu_seconds(self) -> float:
        """GPU-seconds of all trials that ended and of discarded attempts."""
        ended = sum(trial.finished.gpu_seconds for trial in self.finished if trial.finished is not None)
        return ended + sum(trial.spent_gpu_seconds for trial in self.trials)

    @property
    def is_open(self) -> bool:
        """Whether the last driver to train recorded no end: it is training, or was killed."""
        return bool(self.sessions) and isinstance(self.sessions[-1], Began)

    @property
    def best(self) -> TrialState | None:
        """The completed trial with the lowest validation bound; of equal ones, the earliest."""
        ended = ((trial.finished, trial) for trial in self.finished)
        bounds = [(end.best_value, trial) for end, trial in ended if end is not None and end.status == "completed"]
        known = [(bound, trial) for bound, trial in bounds if bound is not None and bound < float("inf")]
        return min(known, key=lambda each: each[0])[1] if known else None


class Replay:
    """Applies a ledger's rows one after the other.

    A row that contradicts those before it (a trial never proposed, ended twice, proposed twice) is left out and
    reported. The state is updated row by row, because a sampler asks for it before each of thousands of proposals.
    """

    def __init__(self, header: Header, problems: Iterable[str] = ()) -> None:
        self._header = header
        self._trials: dict[str, TrialState] = {}
        self._kept: list[Event] = []
        self._sessions: list[SessionEvent] = []
        self._known: list[Known] = []
        self._generations: dict[int, Generation] = {}
        self._problems = list(problems)
        self._last_number = 0
        self._keys: set[str] = set()
        self._is_ordered = True

    def take(self, event: Event) -> None:
        """Apply the next row."""
        if isinstance(event, Began | Ended | Known):
            self._kept.append(event)
            if isinstance(event, Known):
                self._known.append(event)
            else:
                self._sessions.append(event)
            return
        if isinstance(event, Generation):
            self._exchange(event)
            return
        number, last = int(event.trial[1:]), self._last_number
        self._last_number = max(last, number)
        after = _apply(self._trials.get(event.trial), event)
        if isinstance(after, str):
            self._problems.append(f"{event.row} row of {event.trial} left out: {after}")
            return
        self._trials[event.trial] = after
        self._kept.append(event)
        if isinstance(event, Proposed):
            self._keys.add(event.key)
            self._is_ordered = self._is_ordered and number > last

    def _exchange(self, generation: Generation) -> None:
        strangers = {each.trial for each in generation.exchanges} - self._trials.keys()
        if generation.epoch in self._generations or strangers:
            why = f"{strangers.pop()} was never proposed" if strangers else "that generation already has one"
            self._problems.append(f"generation row of epoch {generation.epoch} left out: {why}")
            return
        for each in generation.exchanges:
            before = self._trials[each.trial]
            changes = each.model_dump(include={"parameters", "seed", "key", "repeat"})
            proposed = before.proposed.model_copy(update=changes)
            self._trials[each.trial] = replace(before, proposed=proposed, donors=(*before.donors, each.donor))
        self._keys = {trial.proposed.key for trial in self._trials.values()}
        self._generations[generation.epoch] = generation
        self._kept.append(generation)

    def state(self) -> LedgerState:
        """Return the state that the rows so far describe."""
        if not self._is_ordered:
            self._trials = dict(sorted(self._trials.items(), key=lambda each: each[1].proposed.number))
            self._is_ordered = True
        return LedgerState(
            self._header,
            tuple(self._trials.values()),
            tuple(self._kept),
            tuple(self._problems),
            self._last_number,
            frozenset(self._keys),
            tuple(self._sessions),
            tuple(self._known),
            dict(self._generations),
        )


def replay(header: Header, events: Iterable[Event], problems: Iterable[str] = ()) -> LedgerState:
    """Return the state, a pure function of the rows; each prefix of a ledger gives the state at that moment."""
    rows = Replay(header, problems)
    for event in events:
        rows.take(event)
    return rows.state()


def _apply(before: TrialState | None, event: TrialEvent) -> TrialState | str:
    """Return the trial after ``event``, or why the event is impossible."""
    if isinstance(event, Proposed):
        return TrialState(event) if before is None else "the trial was already proposed"
    if before is None:
        return "the trial was never proposed"
    if isinstance(event, Reopened):
        return _reopened(before, event)
    if before.finished is not None:
        return "the trial had already ended"
    if isinstance(event, Started):
        return replace(before, starts=before.starts + 1)
    if isinstance(event, Rung):
        known = any(rung.epoch == event.epoch for rung in before.rungs)
        return before if known else replace(before, rungs=(*before.rungs, event))
    return replace(before, finished=event)


def _reopened(before: TrialState, event: Reopened) -> TrialState | str:
    if before.finished is None:
        return "the trial had not ended"
    if not event.afresh:
        return replace(before, finished=None, gpus=event.gpus, reopened=before.reopened + 1)
    return TrialState(
        proposed=before.proposed,
        starts=before.starts,
        gpus=event.gpus,
        reopened=before.reopened + 1,
        afresh=before.afresh + 1,
        spent_gpu_seconds=before.spent_gpu_seconds + before.finished.gpu_seconds,
    )
