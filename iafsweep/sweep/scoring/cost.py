"""The time that a rerun will take, estimated from its first shards and announced while it can still be cancelled."""

from collections.abc import Callable, Mapping, Sequence
from typing import final

from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.shards import SHARD_IMAGES, Shard
from iafsweep.evaluation.tasks import PilotWork, Task, read_result
from iafsweep.texts import duration

_WORTH_SAYING = 600.0
"""Shortest estimate that is announced, seconds."""


def telling_first(tasks: Sequence[Task]) -> list[int]:
    """Return the indices of tasks in an order that shows early what all cost: pilots, one of each kind, the others."""
    seen: set[str] = set()
    ranks = []
    for task in tasks:
        kind = _kind(task)
        ranks.append(0 if isinstance(task.work, PilotWork) else 1 if kind not in seen else 2)
        seen.add(kind)
    return sorted(range(len(tasks)), key=lambda place: ranks[place])


@final
class CostAhead:
    """Announces once, when a shard of each kind is done, how long the others will take, if that is long.

    Args:
        tasks: the tasks to do, by the name of their result.
        at_a_time: number of tasks that run at once.
        say: called with the sentence.
    """

    def __init__(self, tasks: Mapping[str, Task], at_a_time: int, say: Callable[[str], None]) -> None:
        self._tasks = {name: task for name, task in tasks.items() if not isinstance(task.work, PilotWork)}
        self._at_a_time = at_a_time
        self._say = say
        self._is_said = False

    def hear(self, results: Mapping[str, str]) -> None:
        """Take the results so far, JSON by name."""
        if self._is_said:
            return
        rates: dict[str, float] = {}  # seconds per evaluation
        for name, task in self._tasks.items():
            if name in results and _kind(task) not in rates:
                result = read_result(task, results[name])
                assert not isinstance(result, FrozenStepSize)
                rates[_kind(task)] = result.seconds / task.evaluations
        if rates.keys() < {_kind(task) for task in self._tasks.values()}:
            return
        self._is_said = True
        if text := self._text([task for name, task in self._tasks.items() if name not in results], rates):
            self._say(text)

    def _text(self, left: Sequence[Task], rates: Mapping[str, float]) -> str:
        def seconds(tasks: Sequence[Task]) -> float:
            return sum(task.evaluations * rates[_kind(task)] for task in tasks) / self._at_a_time

        if (whole := seconds(left)) < _WORTH_SAYING:
            return ""
        images = max(_images_for(task) for task in self._tasks.values())
        fewer = max(1, images // (10 * SHARD_IMAGES)) * SHARD_IMAGES
        offer = ""
        if fewer < images:
            part = seconds([task for task in left if _images_for(task) <= fewer])
            offer = f", or about {duration(part)} with --images {fewer}"
        ahead = f"Scoring takes about {duration(whole)} more at the pace of its first shards"
        return f"{ahead}{offer}. Ctrl-C keeps what is done."


def _kind(task: Task) -> str:
    return task.work.method if isinstance(task.work, Shard) else type(task.work).__name__


def _images_for(task: Task) -> int:
    """Return the smallest --images that includes the task; 0 for a task that the option does not limit."""
    work = task.work
    return work.first + work.count if isinstance(work, Shard) and work.method != "negative_elbo" else 0
