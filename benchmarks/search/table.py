"""A recorded space, over which searches are rehearsed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer

from benchmarks.search.record import TABLES, curve_of, the_space
from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.regression import GaussianProcess, Regress
from iafsweep.rehearsal.surrogate import Surrogate
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.state import TrialState

WORKERS = 8


class Table(NamedTuple):
    """A recorded space, and the surrogate of its curves."""

    space: SearchSpace
    surrogate: Surrogate
    head: dict[str, Any]
    curves: list[Curve]

    def training(self, trial: TrialState) -> Curve:
        """What training a trial comes to."""
        return self.surrogate.training(trial.proposed.parameters, trial.proposed.seed)

    @property
    def whole_training(self) -> float:
        """Seconds of a whole training on average."""
        return float(np.mean([sum(curve.seconds) for curve in self.curves if curve.status == "completed"]))


def read_table(name: str, tables: Path = TABLES, quick: bool = False, regress: Regress = GaussianProcess.fit) -> Table:
    """Return a recorded space."""
    path = tables / f"{name}.jsonl"
    if not path.exists():
        kept = ", ".join(sorted(each.stem for each in tables.glob("*.jsonl"))) or "none"
        raise typer.BadParameter(f"{tables} has no table {path.name!r}; there are: {kept}")
    head, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    curves = [curve_of(row) for row in rows]
    space = the_space(name, quick)
    return Table(space, Surrogate(space, curves, regress), head, curves)
