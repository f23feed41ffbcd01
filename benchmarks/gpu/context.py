"""What a step is given, and where it leaves its figures: as soon as each is known, for a step may be killed."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.sizes import FULL, REHEARSAL, Sizes
from iafsweep.records import DeviceChoice

RESERVE = 5.0
"""Seconds that a step keeps in hand to end by itself."""


@dataclass
class Context:
    """A step in its process.

    Attributes:
        name: the step's.
        device: ``cuda`` or ``cpu``.
        sizes: how large it is to be.
        work: a folder for files of the steps, whose contents stay when a step has ended.
        kept: the folder whose few small files are the result.
        until: the time, as `time.time` has it, at which the step is killed.
        earlier: figures of the steps before it, by name.
        figures: what it has found so far.
    """

    name: str
    device: DeviceChoice
    sizes: Sizes
    work: Path
    kept: Path
    until: float
    earlier: dict[str, dict[str, Any]]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds_left(self) -> float:
        """How long it may still go on, some seconds kept in hand to end by itself."""
        return self.until - RESERVE - time.time()

    def record(self, **figures: Any) -> None:  # noqa: ANN401 - whatever JSON holds
        """Leave figures; those that were left before stay."""
        self.figures |= figures
        replace_text(figures_path(self.work, self.name), json.dumps(self.figures, indent=1))

    def append(self, name: str, row: dict[str, Any]) -> None:
        """Leave a row of a table."""
        self.record(**{name: [*self.figures.get(name, []), row]})

    def check(self, what: str, value: float, limit: float) -> None:
        """Leave a figure that must not be above a limit; one that is not finite is."""
        holds = math.isfinite(value) and value <= limit
        self.append("checks", {"what": what, "value": value, "limit": limit, "holds": holds})

    def require(self, what: str, holds: object) -> None:
        """Leave what must be so."""
        self.append("checks", {"what": what, "holds": bool(holds)})

    def remark(self, text: str) -> None:
        """Leave a sentence for the reader."""
        self.record(remarks=[*self.figures.get("remarks", []), text])


def run_step(work: Callable[[Context], None]) -> None:
    """Be the process of a step: the command line names the file that `write_context` made."""
    values = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sizes = REHEARSAL if values.pop("rehearsal") else FULL
    context = Context(sizes=sizes, work=Path(values.pop("work")), kept=Path(values.pop("kept")), **values)
    work(context)


def replace_text(path: Path, text: str) -> None:
    """Write a file that is either the old or the new, never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def figures_path(work: Path, name: str) -> Path:
    """Return where a step leaves its figures."""
    return work / f"{name}.json"
