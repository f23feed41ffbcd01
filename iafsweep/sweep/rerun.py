"""A pool of actors over independent units of work, each with a result file of its own."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import ray
import torch
from ray.exceptions import RayActorError, RayTaskError
from torch import Tensor

from iafsweep.atomic import write_text
from iafsweep.errors import SweepError
from iafsweep.sweep.cluster import Plan
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.shared import tensor_over
from iafsweep.sweep.signals import StopRequest

_RESTARTS = 3
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Unit:
    """A piece of work whose result does not depend on where, when or beside what it is done.

    Attributes:
        name: name of its result file in ``rerun/``; it holds everything the result depends on (trial, method, images,
            hash of checkpoint, settings and seed), so that a file that is there never has to be made again.
        payload: what the worker is told; it travels pickled.
        needs: names of units whose results the worker is given, a pilot's step size for example.
    """

    name: str
    payload: object
    needs: tuple[str, ...] = ()


class UnitWorker(Protocol):
    """Does units in one process, and may keep a model between two of them."""

    def run(self, payload: Any, needed: Mapping[str, str]) -> str:  # noqa: ANN401 - the payload is the maker's own
        """Return the result of one unit as JSON; ``needed`` holds those of the units it needs, by name."""


MakeWorker = Callable[[Tensor, torch.device], UnitWorker]
"""Makes a worker for images (uint8, on the CPU) and a device; it travels pickled, so it is a class or a function."""
UnitProgress = Callable[[int, int, str], None]
"""Hears how many units are done, of how many, and the name of the last one."""


@dataclass
class UnitsOutcome:
    """What became of the units.

    Attributes:
        results: JSON text by name, of earlier runs too.
        errors: tracebacks by name; units that need a failed one are named with its error.
        signal: the signal that ended the work early, None if none did.
        stopped: whether a signal or somebody's wish ended it early.
    """

    results: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    signal: int | None = None
    stopped: bool = False


class _Actor:
    """The process of a worker."""

    def __init__(self, make_worker: MakeWorker, images: list[Any], plan: Plan) -> None:
        """``images`` is a list of one reference: Ray warns of a bare one, which a restarted actor might not find."""
        torch.set_num_threads(plan.cpus)
        if plan.gpus and not torch.cuda.is_available():
            raise SweepError("the rerun was given a GPU but sees none; check the driver and CUDA_VISIBLE_DEVICES")
        self._worker = make_worker(tensor_over(ray.get(images[0])), torch.device("cuda" if plan.gpus else "cpu"))

    def run(self, payload: object, needed: Mapping[str, str]) -> str:
        """Do one unit."""
        return self._worker.run(payload, needed)


def run_units(
    units: Sequence[Unit],
    folder: SweepFolder,
    images: Tensor,
    make_worker: MakeWorker,
    plan: Plan,
    progress: UnitProgress,
) -> UnitsOutcome:
    """Do all units that have no result file yet; Ray is running.

    Results are written by the driver, atomically, as they come. An actor that dies is started again and its unit done
    again; killed at any point, the next call does what is left. A unit that raises does not keep the others from being
    done. Ctrl-C and SIGTERM end the work after the results at hand.

    Args:
        units: the work, in the order it should be done; a needed unit may come later than the one that needs it.
        folder: the sweep folder.
        images: uint8 [N, channels, height, width].
        make_worker: makes each process's worker.
        plan: how many processes, with what.
        progress: hears of each unit done.

    Raises:
        SweepError: another driver holds the folder, or actors keep dying.
        ValueError: two units have the same name, or one needs a unit that is not there.
    """
    names = [unit.name for unit in units]
    if len(set(names)) != len(names):
        raise ValueError("two units have the same name")
    if missing := {need for unit in units for need in unit.needs} - set(names):
        raise ValueError(f"units need {sorted(missing)}, which are not among them")
    folder.create()
    with ExitStack() as held:
        held.enter_context(folder.lock())
        stop = StopRequest(folder.stop_request)
        held.enter_context(stop.on_signals())
        outcome = UnitsOutcome({unit.name: text for unit in units if (text := read_result(folder, unit.name))})
        waiting = deque(unit for unit in units if unit.name not in outcome.results)
        progress(len(outcome.results), len(units), "")
        if waiting:
            _Pool(folder, images.numpy(), make_worker, plan, len(units), progress, outcome, stop).work(waiting)
        outcome.signal = stop.signal
        outcome.stopped = stop.asked
        return outcome


def read_result(folder: SweepFolder, name: str) -> str | None:
    """Return the JSON text of a result file; None if there is none or it is damaged (then it is made again)."""
    path = folder.result(name)
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError):
        return None
    return text


@dataclass(frozen=True)
class _Pool:
    """The actors of one call, and what they have done."""

    folder: SweepFolder
    images: np.ndarray
    make_worker: MakeWorker
    plan: Plan
    total: int
    progress: UnitProgress
    outcome: UnitsOutcome
    stop: StopRequest

    def work(self, waiting: deque[Unit]) -> None:
        """Do the units, those that need others once these are done."""
        images = ray.put(self.images)
        actors = [self._start(images) for _ in range(min(self.plan.at_a_time, len(waiting)))]
        idle = deque(actors)
        busy: dict[Any, tuple[Any, Unit]] = {}
        try:
            while not self.stop.asked:
                while idle and (unit := self._next(waiting)) is not None:
                    actor = idle.popleft()
                    needed = {name: self.outcome.results[name] for name in unit.needs}
                    busy[actor.run.remote(unit.payload, needed)] = (actor, unit)
                if not busy:
                    return
                for reference in ray.wait(list(busy), timeout=_LOOK_SECONDS)[0]:
                    actor, unit = busy.pop(reference)
                    self._take(reference, unit)
                    idle.append(actor)
        finally:
            for actor in actors:
                ray.kill(actor)

    def _start(self, images: object) -> Any:  # noqa: ANN401 - Ray's handles have no useful type
        remote: Any = ray.remote(_Actor)
        options = remote.options(
            num_cpus=self.plan.cpus, num_gpus=self.plan.gpus, max_restarts=_RESTARTS, max_task_retries=_RESTARTS
        )
        return options.remote(self.make_worker, [images], self.plan)

    def _next(self, waiting: deque[Unit]) -> Unit | None:
        """Take the first unit that can be done now; those that never can be are given up."""
        for unit in list(waiting):
            failed = next((name for name in unit.needs if name in self.outcome.errors), None)
            if failed is not None:
                waiting.remove(unit)
                self.outcome.errors[unit.name] = f"it needs {failed}, which failed: {self.outcome.errors[failed]}"
            elif all(name in self.outcome.results for name in unit.needs):
                waiting.remove(unit)
                return unit
        return None

    def _take(self, reference: Any, unit: Unit) -> None:  # noqa: ANN401 - Ray's references have no useful type
        try:
            text = ray.get(reference)
        except RayActorError as error:
            raise SweepError(
                f"a process of the rerun died {_RESTARTS + 1} times, last on {unit.name}: {error}; finished units are "
                f"kept, so the same command goes on"
            ) from error
        except RayTaskError as error:
            self.outcome.errors[unit.name] = str(error)
            return
        write_text(self.folder.result(unit.name), text)
        self.outcome.results[unit.name] = text
        self.progress(len(self.outcome.results), self.total, unit.name)
