"""Measure the cost of reading a sweep of many trials, and of a TPE proposal after many.

    python -m benchmarks.scale --trials 10000

The ledger and run folders are made without training: random trials of the space `mnist` with made-up bounds. Of 100
trials, 70 completed (5 of them scored), 25 stopped and 5 diverged. Times are CPU seconds of this process.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from rich.console import Console

from benchmarks.timing import hardware
from iafsweep import load_sweep
from iafsweep.cli.commands.reading.export import export_leaderboard
from iafsweep.records import Best, EpochMetrics, Estimate, Evaluation, RunState
from iafsweep.results.status import status_of
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.files import dump_space, load_space
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import Proposer
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.events import EndStatus, Event, Finished, Header, Proposed, Rung, Started, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.state import LedgerState, Replay
from iafsweep.sweep.storage.stored_sweep import read_sweep, space_hash

TIME = "2026-01-02T03:04:05+00:00"
EPOCHS = {"completed": 10, "stopped": 3, "diverged": 2}


def space_of(trials: int) -> SearchSpace:
    """Return the space `mnist` with few epochs."""
    space = load_space(Path("search_spaces/mnist.toml"))
    base = space.base.model_copy(update={"training": space.base.training.model_copy(update={"epochs": 10})})
    return replace(space, base=base, sweep=space.sweep.model_copy(update={"trials": trials, "grace_epochs": 3}))


def bound(values: Mapping[str, Scalar]) -> float:
    """Return a made-up bound, nats per image."""
    kinds = {"resnet": 0.0, "gated_conv": 0.7, "mlp": 3.0}
    rate, depth = values["training.learning_rate"], values["model.flow.depth"]
    assert isinstance(rate, float)
    assert isinstance(depth, int)
    return 78 + kinds[str(values["model.encoder.kind"])] + 3 * math.log10(rate / 7e-4) ** 2 + 4 * math.exp(-depth / 3)


def rows_of(space: SearchSpace) -> Iterator[Event]:
    """Yield the ledger rows of a finished sweep."""
    draws = random.Random(1)
    for number in range(1, space.sweep.trials + 1):
        values, name = space.suggest(RandomSuggest(draws)), trial_name(number)
        yield Proposed(trial=name, number=number, parameters=values, seed=number, key=name, time=TIME)
        yield Started(trial=name, time=TIME)
        status: EndStatus = draws.choices(("completed", "stopped", "diverged"), (70, 25, 5))[0]
        done, value = EPOCHS[status], bound(values) + draws.gauss(0, 0.1)
        if status != "diverged":
            yield Rung(trial=name, epoch=3, value=value + 1, time=TIME)
        bounded = {} if status == "diverged" else {"value": value, "best_value": value, "best_epoch": done}
        seconds = 1.0 + draws.random()
        yield Finished(
            trial=name, status=status, epochs=done, **bounded, seconds=seconds * done, gpu_seconds=0.0,
            device="cpu (1 threads)", parameters=1000, precision="float32", compiled=False, time=TIME,
        )  # fmt: skip


def write_run(folder: RunFolder, end: Finished, *, scored: bool) -> None:
    """Write the run folder of a finished trial."""
    folder.path.mkdir(parents=True)
    value, seconds = end.value or 500.0, end.seconds / end.epochs
    lines = []
    for epoch in range(1, end.epochs + 1):
        now = value + 0.3 * (end.epochs - epoch)
        row = EpochMetrics(
            epoch=epoch, kl_weight=1.0, learning_rate=1e-3, train_loss=now, train_negative_elbo=now,
            train_reconstruction=now - 20, train_kl=20.0, validation_negative_elbo=now, images_per_second=1000.0,
            seconds=seconds * (1 + epoch / 100),
        )  # fmt: skip
        lines.append(row.model_dump_json() + "\n")
    folder.metrics.write_text("".join(lines))
    best = Best(epoch=end.epochs, validation_negative_elbo=value)
    ended = "diverged" if end.status == "diverged" else "completed"
    state = RunState(status=ended, epochs=end.epochs, best=best, seconds=end.seconds, parameters=1000)
    folder.state.write_text(state.model_dump_json())
    folder.best.touch()
    if scored:
        folder.evaluation.write_text(figures(end).model_dump_json())


def figures(end: Finished) -> Evaluation:
    """Return made-up figures in the form that scoring writes."""
    assert end.value is not None
    methods = (("negative_elbo", "1 sample", 5.0), ("importance_sampling", "1000 samples", 1.0))
    estimates = tuple(
        Estimate(
            method=method, split="test", images=1000, nll=end.value + more - 5, standard_error=0.5, settings=settings,
            samples=1, seed=0, binarisation_seeds=(0,), network_evaluations=1, gradient_evaluations=0, seconds=1.0,
        )
        for method, settings, more in methods
    )  # fmt: skip
    return Evaluation(checkpoint="best", epoch=end.epochs, parameters=1000, device="cpu", estimates=estimates)


def make_sweep(folder: SweepFolder, space: SearchSpace) -> None:
    """Write the folder of a finished sweep."""
    folder.create()
    folder.space.write_text(dump_space(space))
    header = Header(sweep="f" * 32, created=TIME, seed=space.sweep.seed, space=space_hash(space))
    with folder.ledger.open("w") as file:
        file.write(header.model_dump_json() + "\n")
        for count, row in enumerate(rows_of(space)):
            file.write(row.model_dump_json() + "\n")
            if isinstance(row, Finished):
                scored = row.status == "completed" and count % 14 == 0
                write_run(RunFolder(folder.trial(row.trial)), row, scored=scored)


def after(state: LedgerState, trials: int) -> Replay:
    """Return the ledger rows up to the end of trial number ``trials``."""
    last, rows = trial_name(trials), Replay(state.header)
    for row in state.events:
        rows.take(row)
        if isinstance(row, Finished) and row.trial == last:
            break
    return rows


def timed(console: Console, name: str, aim: str, work: Callable[[], object], times: int = 1) -> None:
    """Do ``work`` ``times`` times and print the median CPU time."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    console.print(f"| {name} | {aim} | {median(taken):.2f} |", markup=False)


def measure(console: Console, folder: SweepFolder, trials: int) -> None:
    """Time what reads a sweep, and proposals in it."""
    quiet = Console(file=io.StringIO(), width=200)
    console.print(f"{trials:,} trials\n\n| | target | CPU seconds |\n| --- | ---: | ---: |", markup=False)
    timed(console, "`export`", "15", lambda: export_leaderboard(folder.path, None, quiet))
    timed(console, "`load_sweep`", "5", lambda: load_sweep(folder.path))
    timed(console, "`status`", "", lambda: status_of(read_sweep(folder)))
    space, state = read_sweep(folder).space, read_ledger(folder.ledger)
    for count, aim in ((400, ""), (2000, "0.1"), (10000, "0.5")):
        if count <= trials:
            rows = after(state, count)
            propose = partial(_propose, make_proposer(space), rows)
            timed(console, f"a new driver's first proposal after {count:,} trials", "", propose)
            timed(console, f"each further proposal after {count:,} trials", aim, propose, times=7)


def _propose(proposer: Proposer, rows: Replay) -> None:
    """Propose as a driver does, after the rows have changed."""
    assert proposer.propose(rows.state()) is not None


def main() -> None:
    """Make the sweep and print its times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="folder to make the sweep in; an existing sweep is measured")
    arguments = parser.parse_args()
    console = Console(soft_wrap=True)
    console.print(f"{hardware(torch.device('cpu'))}; CPU time", markup=False)
    with tempfile.TemporaryDirectory() as temporary:
        folder = SweepFolder(arguments.keep or Path(temporary) / "sweep")
        if not folder.ledger.exists():
            make_sweep(folder, space_of(arguments.trials))
        measure(console, folder, len(read_ledger(folder.ledger).trials))


if __name__ == "__main__":
    main()
