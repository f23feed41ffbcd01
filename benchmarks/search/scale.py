"""Measure what thousands of trials cost the driver: `python -m benchmarks.search.scale --trials 10000`.

This rehearses a sweep of spaces/mnist.toml on a simulated clock, with learning curves given by a formula. It measures
the cost of the search and not what it finds: seconds and memory of this process, CPU time per decision (a proposal, or
whether a trial continues past a rung), the size of the ledger, and the time that a driver needs to resume from it (to
read it, restore sampler and scheduler, and propose the next trial).
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.search.record import the_space
from benchmarks.timing import machine
from iafsweep.rehearsal.clock import Faults, drive
from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.features import Features
from iafsweep.rehearsal.sweep import RehearsedSweep
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from iafsweep.sweep.storage.state import LedgerState, TrialState


@dataclass
class Timed:
    """A sweep whose decisions are timed, in CPU seconds."""

    sweep: RehearsedSweep
    proposing: list[float] = field(default_factory=list)
    stopping: list[float] = field(default_factory=list)

    @property
    def seed(self) -> int:
        """The sweep's."""
        return self.sweep.seed

    @property
    def milestones(self) -> tuple[int, ...]:
        """The sweep's."""
        return self.sweep.milestones

    @property
    def state(self) -> LedgerState:
        """The sweep's."""
        return self.sweep.state

    def begin(self, seconds: float) -> TrialState | None:
        """Begin the next trial."""
        began = time.process_time()
        trial = self.sweep.begin(seconds)
        self.proposing.append(time.process_time() - began)
        return trial

    def report(self, trial: str, epoch: int, value: float, seconds: float) -> bool:
        """Decide whether a trial stops."""
        began = time.process_time()
        stops = self.sweep.report(trial, epoch, value, seconds)
        self.stopping.append(time.process_time() - began)
        return stops

    def take(self, row: Finished) -> None:
        """Take a trial's end."""
        self.sweep.take(row)


def curves(space: SearchSpace, trial: TrialState) -> Curve:
    """A curve that is the lower the nearer the values are to the middle of the space, and falls from epoch to epoch."""
    away = float(((Features(space).point(trial.proposed.parameters) - 0.5) ** 2).sum())
    bounds = tuple(100 + 10 * away + 50 / epoch for epoch in range(1, space.most_epochs + 1))
    return Curve(trial.proposed.parameters, bounds, (1.0 + away,) * space.most_epochs, "completed")


def main(
    trials: Annotated[int, typer.Option(min=1, help="Trials in the sweep.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, help="Trials that run at the same time.")] = 1000,
    sampler: Annotated[str, typer.Option(help="A value of `sweep.sampler`.")] = "random",
    scheduler: Annotated[str, typer.Option(help="A value of `sweep.scheduler`.")] = "asha",
    lost: Annotated[float, typer.Option(help="Processes lost per hour of a trial.")] = 1.0,
) -> None:
    """Rehearse one sweep and print what it cost."""
    torch.set_num_threads(1)
    space = the_space("mnist")
    changes = {"trials": trials, "sampler": sampler, "scheduler": scheduler}
    space = replace(space, sweep=space.sweep.model_copy(update=changes))
    sweep = Timed(RehearsedSweep(space))
    wall, cpu = time.perf_counter(), time.process_time()
    found = drive(sweep, lambda trial: curves(space, trial), workers, Faults(lost, oom=0.01, stragglers=0.05))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.jsonl"
        Ledger.create(path, sweep.sweep.header, found.state.events).close()
        size = path.stat().st_size / 2**20
        more = replace(space, sweep=space.sweep.model_copy(update={"trials": trials + 1}))
        resumed = time.process_time()
        again = RehearsedSweep(more, read_ledger(path).events)
        read = time.process_time() - resumed
        again.begin(0.0)
        resumed = time.process_time() - resumed
    last = sweep.proposing[-max(trials // 10, 1) - workers : -workers] or sweep.proposing
    typer.echo(machine(torch.device("cpu")))
    typer.echo(
        f"{sampler}, {scheduler}, {trials:,} trials on {workers:,} workers: {wall:.0f} s, {cpu:.0f} s of CPU time, "
        f"peak memory {memory:,.0f} MiB\n"
        f"a proposal: {1e3 * sum(sweep.proposing) / trials:.1f} ms on average, {1e3 * sum(last) / len(last):.1f} ms in "
        f"the last tenth; a rung: {1e3 * sum(sweep.stopping) / max(len(sweep.stopping), 1):.2f} ms\n"
        f"the ledger: {len(found.state.events):,} rows, {size:.1f} MiB; to resume from it: {read:.1f} s to read it and "
        f"restore the scheduler, {resumed:.1f} s to the next trial"
    )


if __name__ == "__main__":
    typer.run(main)
