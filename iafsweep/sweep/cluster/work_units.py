"""Units of work that do not depend on each other but for the results they need, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Unit:
    """A piece of work whose result does not depend on where, when or beside what it is done.

    Attributes:
        name: name of its result file in ``rerun/``; it holds everything the result depends on (trial, method, images,
            hash of checkpoint, settings and seed), so that a file that is there never has to be made again.
        payload: what the worker is told; it travels pickled.
        needs: names of units whose results the worker is given, a pilot's step size for example.
        cost: how much work it is, in whatever is counted, to say how much is left.
    """

    name: str
    payload: object
    needs: tuple[str, ...] = ()
    cost: int = 1


class UnitWorker(Protocol):
    """Does units in one process, and may keep a model between two of them."""

    def run(self, payload: Any, needed: Mapping[str, str]) -> str:  # noqa: ANN401 - the payload is the maker's own
        """Return the result of one unit as JSON; ``needed`` holds those of the units it needs, by name."""


MakeWorker = Callable[[Tensor, torch.device], UnitWorker]
"""Makes a worker for images (uint8, on the CPU) and a device; it travels pickled, so it is a class or a function."""


class UnitsDone(NamedTuple):
    """How far the work is.

    Attributes:
        done: units done, by earlier calls too.
        total: of how many.
        cost_done: their cost.
        cost_total: of how much.
        name: the last unit done; empty at the beginning.
    """

    done: int
    total: int
    cost_done: int
    cost_total: int
    name: str


UnitProgress = Callable[[UnitsDone], None]
"""Hears at the beginning, and after each unit, how far the work is."""


@dataclass
class UnitsOutcome:
    """What became of the units.

    Attributes:
        results: JSON text by name, of earlier runs too.
        devices: by name, where the units of this call were done.
        errors: by name, the message of a user's mistake or a traceback; those that need a failed unit name that one.
        signal: the signal that ended the work early, None if none did.
        stopped: whether a signal or somebody's wish ended it early.
    """

    results: dict[str, str] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    signal: int | None = None
    stopped: bool = False
