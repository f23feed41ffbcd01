"""A pool of actors for independent units of work, each with a result file of its own."""

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from iafsweep.importing import importing

with importing():  # Ray imports this module in each scoring process
    import numpy as np
    import ray
    import torch
    from ray.exceptions import RayActorError, RayTaskError
    from torch import Tensor

    from iafsweep.atomic import write_text
    from iafsweep.config.plugins import load_plugins, loaded_names
    from iafsweep.errors import SweepError, UserError
    from iafsweep.signals import StopRequest
    from iafsweep.sweep.cluster.device import is_gpu_fault, take_device, tensor_over
    from iafsweep.sweep.cluster.resources import Plan
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.training import device_name

_RESTARTS = 3
_LOOK_SECONDS = 0.5
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Unit:
    """A piece of work whose result does not depend on where, when or alongside what it is done.

    Attributes:
        name: name of its result file in ``rerun/``; it encodes everything the result depends on (trial, method, images,
            hash of checkpoint, settings and seed), so that an existing file never has to be made again.
        payload: input of the worker; it is pickled.
        needs: names of units whose results the worker is given, a pilot's step size for example.
        cost: amount of work, in any unit of measure, to tell how much is left.
    """

    name: str
    payload: object
    needs: tuple[str, ...] = ()
    cost: int = 1


class UnitWorker(Protocol):
    """Does units in one process, and may keep a model from one to the next."""

    def run(self, payload: Any, needed: Mapping[str, str]) -> str:  # noqa: ANN401 - the payload is the maker's own
        """Return the result of one unit as JSON; ``needed`` holds the results that it needs, by unit name."""


MakeWorker = Callable[[Tensor, torch.device], UnitWorker]
"""Makes a worker for images (uint8, on the CPU) and a device; it is pickled, so it is a class or a function."""


class UnitsDone(NamedTuple):
    """Progress of the work, earlier calls included; ``name`` is the last unit done, empty at the beginning."""

    done: int
    total: int
    cost_done: int
    cost_total: int
    name: str


UnitProgress = Callable[[UnitsDone], None]
"""Called with the progress, at the beginning and after each unit."""


@dataclass
class UnitsOutcome:
    """What became of the units.

    Attributes:
        results: JSON text by name, earlier calls included.
        devices: by name, where the units of this call were done.
        errors: by name, the message of a user error or a traceback; a unit that needs a failed one names that one.
        signal: the signal that ended the work early, None if none did.
        stopped: whether a signal or a stop request ended it early.
    """

    results: dict[str, str] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    signal: int | None = None
    stopped: bool = False


class _Actor:
    def __init__(self, make_worker: MakeWorker, plan: Plan, plugins: Sequence[str]) -> None:
        load_plugins(plugins)
        torch.set_num_threads(plan.cpus)
        self._make_worker = make_worker
        self._device = take_device(plan.gpus)
        self._worker: UnitWorker | None = None

    def run(self, payload: object, needed: Mapping[str, str], images: np.ndarray) -> tuple[str, str]:
        """Do one unit; return its result and the name of the device.

        The images come with every unit, by reference into shared memory: a restarted process has them at once.
        """
        if self._worker is None:
            self._worker = self._make_worker(tensor_over(images), self._device)
        return self._worker.run(payload, needed), device_name(self._device)


Following = Callable[[UnitsOutcome], Sequence[Unit]]
"""Takes the outcome so far and returns the units that follow from it; each unit is returned once."""


def no_more(outcome: UnitsOutcome) -> Sequence[Unit]:
    """Return no further units."""
    return ()


def run_units(
    units: Sequence[Unit],
    folder: SweepFolder,
    images: Tensor,
    make_worker: MakeWorker,
    plan: Plan,
    progress: UnitProgress,
    following: Following = no_more,
) -> UnitsOutcome:
    """Do all units that have no result file yet; Ray is running.

    The driver writes each result atomically, as it comes. An actor that dies, or whose GPU fails, is replaced and its
    unit done again; after a kill at any point, the next call does what is left. A unit that raises does not keep the
    others from being done. Ctrl-C and SIGTERM end the work once the results at hand are written. ``units`` are in the
    order in which they should be done; a unit may come before one that it needs. ``images`` are uint8 [N, channels,
    height, width]. At the beginning and after each unit done, ``progress`` is called and ``following`` is asked for
    further units.

    Raises:
        SweepError: another driver holds the folder, or actors keep dying.
        ValueError: two units have the same name, or one needs a unit that does not exist.
    """
    folder.create()
    with folder.lock():
        stop = StopRequest(folder.stop_request)
        with stop.on_signals():
            work = _Work(folder, progress, following)
            work.admit(units)
            if work.waiting:
                _Pool(images.numpy(), make_worker, plan, work, stop).empty()
            work.outcome.signal = stop.signal
            work.outcome.stopped = stop.asked
            return work.outcome


def read_result(folder: SweepFolder, name: str) -> str | None:
    """Return the JSON text of a result file; None if it is missing or damaged (then it is made again)."""
    path = folder.result(name)
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError):
        return None
    return text


class _Work:
    def __init__(self, folder: SweepFolder, progress: UnitProgress, following: Following) -> None:
        self.waiting: deque[Unit] = deque()
        self.outcome = UnitsOutcome()
        self._folder, self._progress, self._following = folder, progress, following
        self._costs: dict[str, int] = {}

    def admit(self, units: Sequence[Unit]) -> None:
        """Add units, and those that follow from results of earlier calls."""
        while units:
            names = [unit.name for unit in units]
            if len({*names, *self._costs}) != len(names) + len(self._costs):
                raise ValueError("two units have the same name")
            self._costs |= {unit.name: unit.cost for unit in units}
            if missing := {need for unit in units for need in unit.needs} - set(self._costs):
                raise ValueError(f"units need {sorted(missing)}, which are not among them")
            for unit in units:
                if (text := read_result(self._folder, unit.name)) is None:
                    self.waiting.append(unit)
                else:
                    self.outcome.results[unit.name] = text
            self._tell("")
            units = self._following(self.outcome)

    def keep(self, unit: Unit, text: str, device: str) -> None:
        """Write a result, and add the units that follow from it."""
        write_text(self._folder.result(unit.name), text)
        self.outcome.devices[unit.name] = device
        self.outcome.results[unit.name] = text
        self._tell(unit.name)
        self.admit(self._following(self.outcome))

    def next(self) -> Unit | None:
        """Take the first unit that can be done now; give up those that never can be."""
        for unit in list(self.waiting):
            failed = next((name for name in unit.needs if name in self.outcome.errors), None)
            if failed is not None:
                self.waiting.remove(unit)
                self.outcome.errors[unit.name] = f"it needs {failed}, which failed"
            elif all(name in self.outcome.results for name in unit.needs):
                self.waiting.remove(unit)
                return unit
        return None

    def _tell(self, name: str) -> None:
        results, costs = self.outcome.results, self._costs
        done = sum(cost for each, cost in costs.items() if each in results)
        self._progress(UnitsDone(len(results), len(costs), done, sum(costs.values()), name))


class _Pool:
    def __init__(self, images: np.ndarray, make_worker: MakeWorker, plan: Plan, work: _Work, stop: StopRequest) -> None:
        self._images = ray.put(images)
        self._make_worker, self._plan, self._work, self._stop = make_worker, plan, work, stop
        self._actors: list[Any] = []
        self._gpu_faults: Counter[str] = Counter()

    def empty(self) -> None:
        """Do all the work, including units that need others once these are done."""
        idle: deque[Any] = deque()
        busy: dict[Any, tuple[Any, Unit]] = {}
        try:
            while not self._stop.asked:
                while (idle or len(self._actors) < self._plan.at_a_time) and (unit := self._work.next()) is not None:
                    actor = idle.popleft() if idle else self._start()
                    needed = {name: self._work.outcome.results[name] for name in unit.needs}
                    busy[actor.run.remote(unit.payload, needed, self._images)] = (actor, unit)
                if not busy:
                    return
                for reference in ray.wait(list(busy), timeout=_LOOK_SECONDS)[0]:
                    actor, unit = busy.pop(reference)
                    if self._take(reference, unit):
                        idle.append(actor)
                    else:
                        self._actors.remove(actor)
                        ray.kill(actor)
        finally:
            for reference in busy:  # otherwise Ray prints for each that it will be retried
                ray.cancel(reference)
            for actor in self._actors:
                ray.kill(actor)

    def _start(self) -> Any:  # noqa: ANN401 - Ray's handles have no useful type
        remote: Any = ray.remote(_Actor)
        options = remote.options(
            num_cpus=self._plan.cpus, num_gpus=self._plan.gpus, max_restarts=_RESTARTS, max_task_retries=_RESTARTS
        )
        self._actors.append(options.remote(self._make_worker, self._plan, loaded_names()))
        return self._actors[-1]

    def _take(self, reference: Any, unit: Unit) -> bool:  # noqa: ANN401 - Ray's references have no useful type
        """Keep the outcome of a unit; return whether its process is fit for another."""
        try:
            text, device = ray.get(reference)
        except RayActorError as error:
            raise SweepError(
                f"a scoring process died {_RESTARTS + 1} times, last on {unit.name}: {error}; finished work is kept, "
                f"so run the same command again to continue"
            ) from error
        except RayTaskError as error:
            is_fit = not is_gpu_fault(error.cause)
            self._gpu_faults[unit.name] += not is_fit
            if not is_fit and self._gpu_faults[unit.name] <= _RESTARTS:
                self._work.waiting.appendleft(unit)
            else:
                self._work.outcome.errors[unit.name] = _in_words(error)
            return is_fit
        self._work.keep(unit, text, device)
        return True


def _in_words(error: RayTaskError) -> str:
    """Return the message of a user error, or the traceback of any other error, without Ray's colours."""
    return str(error.cause) if isinstance(error.cause, UserError) else _COLOUR.sub("", str(error))
