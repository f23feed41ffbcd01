"""`run_sweep.py rehearse`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iafsweep.cli.console import loading, make_console, say
from iafsweep.cli.options.sweep import Overrides, Space, refuse_other_folders
from iafsweep.records import TextTable
from iafsweep.signals import leaving_at_once
from iafsweep.texts import counted

if TYPE_CHECKING:
    from iafsweep.api.rehearse import Rehearsed


def rehearse(
    space: Space,
    curves: Annotated[Path, typer.Option(help="Folder of an earlier sweep; its learning curves predict others.")],
    workers: Annotated[int, typer.Option(min=1, help="Trials that run at once.")] = 8,
    samplers: Annotated[str, typer.Option(help="Values of `sweep.sampler`, separated by commas.")] = "random,auto",
    schedulers: Annotated[str, typer.Option(help="Values of `sweep.scheduler`, separated by commas.")] = "none,asha",
    seeds: Annotated[int, typer.Option(min=1, help="Sweeps per combination of sampler and scheduler.")] = 5,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials per sweep; default: as in the space.")] = None,
    lost: Annotated[float, typer.Option(min=0, help="Processes lost per hour of a trial's training.")] = 0.0,
    oom: Annotated[float, typer.Option(min=0, max=1, help="Share of trials that run out of memory.")] = 0.0,
    stragglers: Annotated[float, typer.Option(min=0, max=1, help="Share of trials that take 4 times as long.")] = 0.0,
    overrides: Overrides = None,
) -> None:
    """Simulate what samplers and schedulers would find in a space and at what cost, without training.

    Example: `run_sweep.py rehearse mnist --curves runs/mnist-1 --workers 8`
    """
    from iafsweep.search_space.files import load_space

    loaded = load_space(space, overrides or [])
    refuse_other_folders(curves)
    with leaving_at_once(), loading("PyTorch"):
        from iafsweep.api.rehearse import rehearsed
        from iafsweep.cli.tables import print_table
        from iafsweep.rehearsal.clock import Faults

    console = make_console()
    with leaving_at_once():
        found = rehearsed(
            loaded,
            curves,
            workers,
            _names(samplers),
            _names(schedulers),
            seeds,
            trials,
            Faults(lost, oom, stragglers),
            lambda what: say(console, f"Rehearsing: {what}", "dim"),
        )
    print_table(console, rehearsal_table(found, seeds), [], keys=3)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def rehearsal_table(found: Rehearsed, seeds: int) -> TextTable:
    """Return a table with one row per sampler and scheduler, the lowest median bound first."""
    from iafsweep.rehearsal.comparison import CLOSE

    ranked = sorted(found.searches, key=lambda each: (each.spread(0.5), each.hours_to(found.best + 1)))
    rows = tuple(
        (
            each.sampler,
            each.scheduler,
            f"{each.spread(0.5):.2f}",
            f"{each.spread(0.1):.2f} to {each.spread(0.9):.2f}",
            f"{sorted(each.hours)[len(each.hours) // 2]:.3g}",
            f"{sorted(each.epochs)[len(each.epochs) // 2]:,}",
            *(_hours(each.hours_to(found.best + nats)) for nats in CLOSE),
        )
        for each in ranked
    )
    error = found.error
    measured = "as measured" if error.noise_measured else "assumed, since no configuration was trained twice"
    notes = (
        f"Bound: that of the trial chosen in the end, averaged over its training seeds, in nats per image; median of "
        f"{counted(seeds, 'sweep')} of {counted(found.trials, 'trial')}, and the range from 10 to 90%. Hours: on the "
        f"clock, with {counted(found.workers, 'worker')}.",
        f"To 1.0, to 0.5: hours of all workers together until a sweep is within that many nats of the best bound there "
        f"is to find, {found.best:.2f} (the lowest that was trained: {found.recorded:.2f}); -: most sweeps did not get "
        f"that close.",
        f"From the curves of {counted(found.curves, 'trial')}. Error on held-out trials: {error.bound:.2f} nats in the "
        f"better half, rank correlation {error.rank:.2f}, seconds {error.seconds:.0%}; noise of a seed "
        f"{error.noise:.2f} nats, {measured}. Smaller differences mean nothing.",
    )
    header = ("sampler", "scheduler", "bound", "10 to 90%", "hours", "epochs", *(f"to {nats:.1f}" for nats in CLOSE))
    return TextTable(header=header, rows=rows, notes=notes)


def _hours(hours: float) -> str:
    return f"{hours:.3g}" if math.isfinite(hours) else "-"
