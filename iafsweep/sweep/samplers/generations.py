"""Generations of trials, for samplers that go from one generation to the next."""

from collections.abc import Callable, Iterable

from iafsweep.sweep.storage.events import Event, Finished, Known, Proposed


class Generations:
    """Assigns each trial to the generation that was not complete when it was proposed.

    A generation is complete when ``size`` of its trials have ended in a way that ``counts``; those that end later still
    belong to it, but do not count. Trials of a warm start belong to the first one. The rows in their order decide.

    Attributes:
        of: the generation of each trial, by name; of known ones, by their source.
        complete: for each complete generation, the names of the trials that completed it, in the order of their ends.
    """

    def __init__(self, events: Iterable[Event], size: int, counts: Callable[[Finished | Known], bool]) -> None:
        self.of: dict[str, int] = {}
        self.complete: list[tuple[str, ...]] = []
        ended: dict[str, None] = {}
        for event in events:
            if isinstance(event, Proposed):
                self.of[event.trial] = self.now
            elif isinstance(event, Finished | Known) and counts(event):
                name = event.source if isinstance(event, Known) else event.trial
                if self.of.setdefault(name, 0) == self.now:
                    ended[name] = None
                if len(ended) == size:
                    self.complete.append(tuple(ended))
                    ended = {}

    @property
    def now(self) -> int:
        """The generation of the next proposal."""
        return len(self.complete)
