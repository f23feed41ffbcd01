"""Compare Pareto fronts of bound and time: `python -m benchmarks.search.two_objectives mnist CACHE`.

Each sampler for `objective = "bound_and_time"` is rehearsed over a recorded space with several seeds; all trials are
trained to the end. One row per sweep goes to CACHE/two-SPACE.jsonl. A second call runs only what is missing. Two
processes share the work with `--part 1/2` and `--part 2/2`. `python -m benchmarks.search.compare page` shows the rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.part import WHOLE, PartOption
from benchmarks.search.record import EXTENTS, TABLES
from benchmarks.search.rows import add_row, read_rows
from benchmarks.search.table import WORKERS, Table, read_table
from iafsweep.rehearsal.clock import Completed, rehearse

Point = tuple[float, float]
"""A bound in nats per image, and the logarithm of the seconds of an epoch."""

SAMPLERS = ("random", "quasi_random", "tpe", "nsga2")
AFTER = (32, 64, 128)
"""Completed trials after which fronts are compared; the last is how many a sweep has."""


def main(
    space: Annotated[str, typer.Argument(help=f"One of {', '.join(EXTENTS)}.")],
    cache: Annotated[Path, typer.Argument(help="Folder for intermediate results, outside the repository.")],
    seeds: Annotated[int, typer.Option(min=1, help="Sweeps per sampler, each with its own seed.")] = 30,
    part: PartOption = WHOLE,
    tables: Annotated[Path, typer.Option(help="Folder of the recorded tables.")] = TABLES,
    quick: Annotated[bool, typer.Option("--quick", help="Use a miniature of the space.")] = False,
) -> None:
    """Rehearse the sweeps that are not in the cache yet."""
    torch.set_num_threads(1)
    table, rows = read_table(space, tables, quick), _rows(cache, space)
    wanted = [(sampler, seed) for seed in range(1, seeds + 1) for sampler in SAMPLERS]
    for sampler, seed in part.of(wanted):
        if any((row["sampler"], row["seed"]) == (sampler, seed) for row in read_rows(rows)):
            continue
        changes = {"sampler": sampler, "scheduler": "none", "objective": "bound_and_time", "trials": AFTER[-1]}
        searched = replace(table.space, sweep=table.space.sweep.model_copy(update=changes | {"seed": seed}))
        found = rehearse(searched, table.training, WORKERS)
        fronts = {str(after): front(table, found.completed[:after]) for after in AFTER}
        cost = found.spent / table.whole_training
        add_row(rows, {"sampler": sampler, "seed": seed, "fronts": fronts, "cost": cost})
        typer.echo(f"{sampler} {seed}: {len(fronts[str(AFTER[-1])])} on the front")


def front(table: Table, completed: Sequence[Completed]) -> list[Point]:
    """Return the points of the trials that nobody beats in both, as one seed shows them; bounds averaged over seeds."""
    paces = [math.log(fmean(table.training(each.trial).seconds)) for each in completed]
    chosen, lowest = [], math.inf
    for place in sorted(range(len(completed)), key=lambda place: (paces[place], completed[place].bound)):
        if completed[place].bound < lowest:
            lowest = completed[place].bound
            chosen.append(place)
    if not chosen:
        return []
    bounds = table.surrogate.bounds([completed[place].trial.proposed.parameters for place in chosen]).min(1)
    return [(float(bound), paces[place]) for bound, place in zip(bounds, chosen, strict=True)]


def dominated_area(points: Sequence[Point], corner: Point) -> float:
    """Return the area of what lies above any of the points in both coordinates, and below the corner."""
    area, floor = 0.0, corner[1]
    for bound, pace in sorted(points):
        if bound < corner[0] and pace < floor:
            area += (corner[0] - bound) * (floor - pace)
            floor = pace
    return area


def two_objectives_section(cache: Path, name: str, tables: Path = TABLES, quick: bool = False) -> Iterator[str]:
    """Yield the page's part on fronts, if any were searched."""
    rows = list(read_rows(_rows(cache, name)))
    if not rows:
        return
    table = read_table(name, tables, quick)
    whole = [curve for curve in table.curves if curve.status == "completed"]
    corner = (
        float(np.median([min(curve.bounds) for curve in whole])),
        math.log(float(np.median([fmean(curve.seconds) for curve in whole]))),
    )
    found = [point for row in rows for points in row["fronts"].values() for point in points]
    most = dominated_area([*_attainable(table), *map(tuple, found)], corner)
    yield f"## {table.space.title} (two objectives: bound and seconds per epoch)\n"
    yield (
        f"Simulated by `python -m benchmarks.search.two_objectives {name}` with the Gaussian process as surrogate: "
        f'sweeps of {AFTER[-1]} trials with `objective = "bound_and_time"`, all trained to the end. The table gives '
        "the area that the Pareto front of a sweep dominates, measured in nats times the logarithm of seconds, up to "
        "the medians of the recorded bounds and seconds. A front is chosen by the bounds of one seed, but its area "
        "uses bounds averaged over seeds. 100% is the area of all configurations drawn or found. Entries are medians "
        "(10 to 90%).\n"
    )
    yield "| sampler | seeds | " + " | ".join(f"after {after} trials" for after in AFTER) + " | cost, whole trainings |"
    yield "|---|---|" + "---|" * len(AFTER) + "---|"
    for sampler in dict.fromkeys(row["sampler"] for row in rows):
        own = [row for row in rows if row["sampler"] == sampler]
        cells = []
        for after in AFTER:
            shares = [dominated_area([*map(tuple, row["fronts"][str(after)])], corner) / most for row in own]
            low, high = (float(np.quantile(shares, share)) for share in (0.1, 0.9))
            cells.append(f"{median(shares):.0%} ({low:.0%} to {high:.0%})")
        cells.append(f"{median(row['cost'] for row in own):.0f}")
        yield f"| {sampler} | {len(own)} | " + " | ".join(cells) + " |"
    yield ""


def _attainable(table: Table) -> list[Point]:
    """The points of many configurations and all recorded ones."""
    values = table.surrogate.ranked(table.space)
    bounds = table.surrogate.bounds(values).min(1)
    paces = [math.log(fmean(table.surrogate.training(each, 0).seconds)) for each in values]
    return [(float(bound), pace) for bound, pace in zip(bounds, paces, strict=True)]


def _rows(cache: Path, space: str) -> Path:
    return cache / f"two-{space}.jsonl"


if __name__ == "__main__":
    typer.run(main)
