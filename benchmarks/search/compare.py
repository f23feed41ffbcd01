"""Compare what searches find, and at what cost: `python -m benchmarks.search.compare run mnist CACHE`.

`run` rehearses every sampler with every scheduler, and the peers, over the curves of tables/SPACE.jsonl, with several
seeds and for each budget, given in whole trainings. It appends one row per sweep to a file in CACHE, one file for each
space and surrogate. A second call runs only what is missing. Two processes share the work with `--part 1/2` and
`--part 2/2`. `page CACHE` writes docs/search.md and its figures from these rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any, NamedTuple

import numpy as np
import optuna
import torch
import typer
from matplotlib.figure import Figure

from benchmarks.part import WHOLE, PartOption
from benchmarks.search.peers import OptunaPeer, RayPeer
from benchmarks.search.record import EXTENTS, TABLES
from benchmarks.search.rows import add_row, read_rows
from benchmarks.search.table import WORKERS, Table, read_table
from benchmarks.search.trees import Trees
from benchmarks.search.two_objectives import two_objectives_section
from iafsweep.atomic import replacing, write_text
from iafsweep.config.sweep import SAMPLERS, SCHEDULERS, SweepConfig
from iafsweep.rehearsal.clock import Driven, Faults, drive_in_stages
from iafsweep.rehearsal.comparison import Search, Step, trace_of
from iafsweep.rehearsal.regression import GaussianProcess, Regress
from iafsweep.rehearsal.sweep import RehearsedSweep
from iafsweep.search_space.space import SearchSpace

DOCS = Path(__file__).parents[2] / "docs"
LEFT_OUT = ("grid", "listed", "nsga2", "pbt")
"""Not compared: for finite spaces, for your own points, for two objectives, and what cannot be rehearsed."""
PEERS = ("Optuna, SuccessiveHalvingPruner", "Optuna, HyperbandPruner", "Ray, OptunaSearch + ASHAScheduler")
BASELINE = "random, none"
DEFAULT = ", ".join(str(SweepConfig.model_fields[field].default) for field in ("sampler", "scheduler"))
MOST_TRIALS = 2000
CLOSE = (1.0, 0.5)
SURROGATES: dict[str, tuple[str, Regress]] = {
    "process": ("Gaussian process", GaussianProcess.fit),
    "trees": ("randomised trees", Trees.fit),
}
"""Name of each surrogate, and how it is fitted. The first is closer to what was trained; `gp` is of its kind."""

app = typer.Typer(add_completion=False, help=__doc__)
Cache = Annotated[Path, typer.Argument(help="Folder for intermediate results, outside the repository.")]
Tables = Annotated[Path, typer.Option(help="Folder of the recorded tables.")]


def contenders() -> list[str]:
    """Return every search by its name: each sampler with each scheduler, and the peers."""
    samplers, schedulers = (
        [name for name in family.members if name not in LEFT_OUT] for family in (SAMPLERS, SCHEDULERS)
    )
    return [f"{sampler}, {scheduler}" for sampler in samplers for scheduler in schedulers] + list(PEERS)


@app.command()
def run(
    space: Annotated[str, typer.Argument(help=f"One of {', '.join(EXTENTS)}.")],
    cache: Cache,
    seeds: Annotated[int, typer.Option(min=1, help="Sweeps per search, each with its own seed.")] = 30,
    budgets: Annotated[str, typer.Option(help="Budgets of each sweep in whole trainings, separated by commas.")] = "64",
    part: PartOption = WHOLE,
    surrogate: Annotated[str, typer.Option(help=f"One of {', '.join(SURROGATES)}.")] = "process",
    only: Annotated[str, typer.Option(help="Only these searches, separated by semicolons; default: all.")] = "",
    tables: Tables = TABLES,
    quick: Annotated[bool, typer.Option("--quick", help="Use a miniature of the space.")] = False,
) -> None:
    """Rehearse the sweeps that are not in the cache yet."""
    if surrogate not in SURROGATES:
        raise typer.BadParameter(f"no surrogate is called {surrogate!r}; known: {', '.join(SURROGATES)}")
    costs = _budgets(budgets)
    torch.set_num_threads(1)
    table, rows = read_table(space, tables, quick, SURROGATES[surrogate][1]), _rows(cache, space, surrogate)
    names = [name.strip() for name in only.split(";")] if only else contenders()
    wanted = [(name, seed) for seed in range(1, seeds + 1) for name in names]
    for name, seed in part.of(wanted):
        known = _known(rows)
        missing = [budget for budget in costs if (name, seed, budget) not in known]
        sweep = _search(name, _seeded(table.space, name, seed))
        limits = [budget * table.whole_training for budget in missing]
        stages = drive_in_stages(sweep, table.training, WORKERS, Faults(), limits)
        for budget, found in zip(missing, stages, strict=True):
            trace = [[step.spent / table.whole_training, step.bound] for step in trace_of(found, table.surrogate)]
            trials, best = len(found.state.trials), trace[-1][1] if trace else math.inf
            row = {"search": name, "seed": seed, "budget": budget, "trace": trace, "trials": trials}
            add_row(rows, row | {"epochs": found.epochs})
            typer.echo(f"{name} {seed}, {budget:g}: {best:.2f} nats, {trials} trials")


def _budgets(text: str) -> list[float]:
    try:
        budgets = sorted(map(float, text.split(",")))
    except ValueError:
        budgets = []
    if not budgets or not 0 < budgets[0] <= budgets[-1] < math.inf:
        raise typer.BadParameter(f"--budgets is positive numbers, separated by commas; found {text!r}")
    return budgets


def _seeded(space: SearchSpace, name: str, seed: int) -> SearchSpace:
    changes: dict[str, object] = {"seed": seed, "trials": MOST_TRIALS}
    if name not in PEERS:
        changes["sampler"], changes["scheduler"] = name.split(", ")
    return replace(space, sweep=space.sweep.model_copy(update=changes))


def _search(name: str, space: SearchSpace) -> Driven:
    if name == PEERS[0]:
        return OptunaPeer(space, optuna.pruners.SuccessiveHalvingPruner())
    if name == PEERS[1]:
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=space.most_epochs, reduction_factor=3)
        return OptunaPeer(space, pruner)
    return RayPeer(space) if name == PEERS[2] else RehearsedSweep(space)


def _rows(cache: Path, space: str, surrogate: str) -> Path:
    return cache / f"compare-{space}-{surrogate}.jsonl"


def _known(rows: Path) -> dict[tuple[str, int, float], dict[str, Any]]:
    return {(row["search"], row["seed"], row["budget"]): row for row in read_rows(rows)}


class Result(NamedTuple):
    """A search over its seeds; costs in whole trainings, bounds above the best there is."""

    name: str
    search: Search
    best: float
    trials: float

    def regret(self, spent: float, share: float) -> float:
        """Nats above the best after such a cost, in a share of the sweeps; infinite before a trial has completed."""
        bounds = [
            next((step.bound for step in reversed(trace) if step.spent <= spent), math.inf)
            for trace in self.search.traces
        ]
        return float(np.quantile(bounds, share, method="closest_observation")) - self.best

    def costs(self, nats: float) -> list[float]:
        """Cost of each sweep to come so close for good; infinite where it does not."""
        return [3600 * replace(self.search, traces=(trace,)).hours_to(self.best + nats) for trace in self.search.traces]


@app.command()
def page(
    cache: Cache,
    tables: Tables = TABLES,
    to: Annotated[Path, typer.Option(help="Folder of the page; its figures go to figures/ inside.")] = DOCS,
    quick: Annotated[bool, typer.Option("--quick", help="Use a miniature of the spaces.")] = False,
) -> None:
    """Write the page from the sweeps rehearsed so far."""
    torch.set_num_threads(1)
    parts = [_HEAD]
    for name in EXTENTS:
        for surrogate, (_, regress) in SURROGATES.items():
            if rows := _known(_rows(cache, name, surrogate)):
                table = read_table(name, tables, quick, regress)
                parts += _section(name, surrogate, table, list(rows.values()), to)
        parts += two_objectives_section(cache, name, tables, quick)
    (to / "figures").mkdir(parents=True, exist_ok=True)
    write_text(to / "search.md", "\n".join(parts))


_HEAD = """# Comparison of search methods

Written by `python -m benchmarks.search.compare page`. This page compares what searches find and at what cost. A search
is a sampler with a scheduler, either ours or a peer's (Optuna, Ray), always run by its own code. The searches run on a
simulated clock with 8 workers (docs/sweeps.md, "Rehearsal"). The code that proposes and stops trials is the real one; a
surrogate, fitted to trainings that were really made, predicts how each configuration trains. So only the table of
trainings is *measured*. Every figure of a search below is *simulated* from it and no more accurate than the surrogate,
whose error is given in each section.

Peers are used as their documentation shows: Optuna's default sampler with a pruner at its defaults (Hyperband is given
the number of epochs), and Ray's `OptunaSearch` with its `ASHAScheduler` at its defaults except for `max_t`, called in
the order of Ray's controller but without its runtime. The sampler `auto` is `gp` for the first hundred trials and `tpe`
from then on. `gp` is a Gaussian process like the surrogate, which might favour it. One space is therefore also
simulated with a surrogate of another kind, randomised trees.

Costs are in whole trainings of the space (all epochs of an average configuration). The regret of a search is the bound
of the trial that it would choose, minus the lowest bound in the space according to the surrogate. It would choose the
completed trial with the lowest bound of its single seed; the regret uses that trial's bound averaged over training
seeds. *Cost to 1.0 nats* is the cost after which the regret stays at or below 1.0 nats. The tables give medians over
the seeds. Two seeds of one configuration differ, so no claim is finer than the noise given in each section.
"""


def _section(name: str, surrogate: str, table: Table, rows: Sequence[dict[str, Any]], to: Path) -> Iterator[str]:
    error, bad = table.surrogate.error, sum(curve.status != "completed" for curve in table.curves)
    lowest = min((step[1] for row in rows for step in row["trace"]), default=math.inf)
    best = min(table.surrogate.best(table.space), lowest)
    refined = ""
    if count := table.head["refined"]:
        refined = f"{count} of the trainings are of configurations that the surrogate ranked best, and "
    yield f"## {table.space.title} (surrogate: {SURROGATES[surrogate][0]})\n"
    yield (
        f"Measured: {len(table.curves)} trainings of {table.surrogate.epochs} epochs on "
        f"{table.head['training_images']:,} images; {refined}{bad} failed to complete. A whole training takes "
        f"{table.whole_training:.0f} s of one core ({table.head['made']}). Everything else is simulated. On held-out "
        f"configurations, the surrogate's root-mean-square error is {error.bound:.2f} nats for the better half; over "
        f"all, the rank correlation is {error.rank:.2f} and the error of the seconds {error.seconds:.0%}. The noise "
        f"between seeds (standard deviation) is {error.noise:.2f} nats. According to the surrogate, the lowest bound "
        f"in the space is {best:.2f} nats; the lowest that was trained is {table.surrogate.lowest_recorded:.2f}.\n"
    )
    for budget in sorted({row["budget"] for row in rows}):
        results = _results([row for row in rows if row["budget"] == budget], best)
        if len(results) < 3:
            continue  # rehearsed only for the comparison with the default below
        figure = f"search-{name}-{surrogate}-{budget:g}.png"
        _plot(results, budget, to / "figures" / figure, error.noise)
        yield f"### Budget of {budget:g} whole trainings\n"
        yield f"![Regret against cost](figures/{figure})\n"
        yield from _table(results, budget)
    longest = _longest(rows, best)
    others = [longest[other] for other in (BASELINE, *PEERS) if other in longest]
    if DEFAULT in longest and others:
        yield from _against(others, *longest[DEFAULT])


def _table(results: Sequence[Result], budget: float) -> Iterator[str]:
    """A row a search."""
    yield (
        "| search | seeds | trials | regret after a quarter | regret at the end (10 to 90%) | cost to 1.0 nats "
        "| cost to 0.5 nats |\n|---|---|---|---|---|---|---|"
    )
    for each in results:
        ends = [each.regret(budget, share) for share in (0.5, 0.1, 0.9)]
        cells = (
            each.name,
            str(len(each.search.traces)),
            f"{each.trials:.0f}",
            _shown(each.regret(budget / 4, 0.5)),
            f"{_shown(ends[0])} ({_shown(ends[1])} to {_shown(ends[2])})",
            *(_shown(median(each.costs(nats)), ".1f") for nats in CLOSE),
        )
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _against(others: Sequence[tuple[Result, float]], default: Result, given: float) -> Iterator[str]:
    """What the default costs beside others, each with the budget that it was given; a row each."""
    yield f"### Cost of the default, `{DEFAULT}`, relative to others\n"
    yield (
        f"The cost at which the default, with a budget of {given:g}, reaches this regret, divided by that of the other "
        "search: ratio of the medians and its 95% interval. `<` marks an upper limit: in the median, the other search "
        "does not reach this regret within its budget, and is counted as if it did at the end.\n"
    )
    yield "| other search | budget | to 1.0 nats | to 0.5 nats |\n|---|---|---|---|"
    for other, budget in others:
        ratios = (ratio(default.costs(nats), other.costs(nats), budget) for nats in CLOSE)
        yield f"| {other.name} | {budget:g} | " + " | ".join(ratios) + " |"
    yield ""


def _longest(rows: Sequence[dict[str, Any]], best: float) -> dict[str, tuple[Result, float]]:
    """Every search with the largest budget that it was rehearsed for, and that."""
    found = {}
    for budget in sorted({row["budget"] for row in rows}):
        for each in _results([row for row in rows if row["budget"] == budget], best):
            found[each.name] = each, budget
    return found


def _results(rows: Sequence[dict[str, Any]], best: float) -> list[Result]:
    """Every search, the one that is cheapest to come close in front."""
    found = []
    for name in dict.fromkeys(row["search"] for row in rows):
        own = sorted((row for row in rows if row["search"] == name), key=lambda row: row["seed"])
        traces = tuple(tuple(Step(*step) for step in row["trace"]) for row in own)
        search = Search(name, "", traces, (0.0,) * len(own), tuple(row["epochs"] for row in own))
        found.append(Result(name, search, best, median(row["trials"] for row in own)))
    return sorted(found, key=lambda each: (median(each.costs(CLOSE[1])), each.regret(math.inf, 0.5)))


def ratio(costs: Sequence[float], others: Sequence[float], budget: float, draws: int = 2000) -> str:
    """Return the ratio of two medians with its 95 % interval, by drawing sweeps of both again.

    Others that do not come so close within a budget are taken to have come so close at its end, which makes the ratio
    an upper limit.
    """
    if math.isinf(median(costs)):
        return "-"
    generator, least = np.random.default_rng(0), np.minimum(others, budget)
    medians = [np.median(generator.choice(np.array(each), (draws, len(each))), axis=1) for each in (costs, least)]
    low, high = (
        float(np.quantile(medians[0] / medians[1], share, method="closest_observation")) for share in (0.025, 0.975)
    )
    limit = "< " if math.isinf(median(others)) else ""
    return f"{limit}{median(costs) / np.median(least):.2f} ({_shown(low)} to {_shown(high)})"


def _shown(number: float, form: str = ".2f") -> str:
    return format(number, form) if math.isfinite(number) else "-"


def _plot(results: Sequence[Result], budget: float, path: Path, noise: float) -> None:
    """Median regret against cost, with a band from 10 to 90 % for a few."""
    figure = Figure(figsize=(9, 5), dpi=110)
    axes, spent = figure.subplots(), np.linspace(1, budget, 120)
    best_of = {each.name.split(", ")[0]: each for each in reversed(results) if each.name not in PEERS}
    shown = [each for each in results if each.name in PEERS or each in best_of.values() or each.name == BASELINE]
    for each in shown:
        line = axes.plot(spent, [max(each.regret(at, 0.5), 0.01) for at in spent], label=each.name,
                         linestyle="--" if each.name in PEERS else "-")  # fmt: skip
        if each in (shown[0], shown[-1]):
            low, high = ([max(each.regret(at, share), 0.01) for at in spent] for share in (0.1, 0.9))
            axes.fill_between(spent, low, high, alpha=0.12, color=line[0].get_color())
    axes.axhline(noise, color="grey", linewidth=0.8, linestyle=":", label="noise of a seed")
    axes.set(yscale="log", xlabel="cost, whole trainings", ylabel="regret, nats per image")
    axes.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


if __name__ == "__main__":
    app()
