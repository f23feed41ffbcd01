"""Time several variants of the same work in turns, so that a machine that slows down affects all of them."""

from __future__ import annotations

import multiprocessing
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch
from rich.console import Console

from iafsweep.training import resolve_device


@dataclass
class Timed:
    """One variant of the work.

    Attributes:
        name: its name in the table.
        measure: does the work once and returns the seconds it took; None if it cannot run here.
        amount: amount of work per call, in the table's unit.
        skipped: why it cannot run here.
        first_seconds: seconds of the first call, including one-time work such as compiling.
        seconds: seconds of every timed call.
    """

    name: str
    measure: Callable[[], float] | None
    amount: int
    skipped: str = ""
    first_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Units per second, by the median call."""
        return self.amount / median(self.seconds)


def begin() -> tuple[Console, torch.device]:
    """Choose the device and print its description; return the console and the device."""
    console, device = Console(), resolve_device("auto")
    console.print(machine(device), markup=False, soft_wrap=True)
    return console, device


def clock() -> Callable[[], float]:
    """Return the clock: CPU time for one thread on a CPU, which other processes hardly affect; else wall-clock time."""
    is_alone = torch.get_num_threads() == 1 and not torch.cuda.is_available()
    return time.process_time if is_alone else time.perf_counter


def take_turns(ways: list[Timed], rounds: int) -> None:
    """Warm up every variant, then time all of them in turns, ``rounds`` times."""
    usable = [(way, way.measure) for way in ways if way.measure is not None]
    for way, measure in usable:
        way.first_seconds = measure()
        measure()
    for _ in range(rounds):
        for way, measure in usable:
            way.seconds.append(measure())


def end_apart(ways: list[Timed]) -> None:
    """End the separate processes of variants that have one."""
    for way in ways:
        if isinstance(way.measure, Apart):
            way.measure.end()


def stopwatch(work: Callable[[], object]) -> Callable[[], float]:
    """Return a function that does the work once, in this process, and returns the seconds it took."""
    now = clock()

    def measure() -> float:
        started = now()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return now() - started

    return measure


class Apart:
    """A stopwatch in a separate process, for work whose speed depends on settings of the whole process.

    Args:
        make: makes the work in that process; a module-level function, with arguments that can be pickled.
    """

    def __init__(self, make: Callable[[], Callable[[], object]]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()

    def __call__(self) -> float:
        """Do the work once; return the seconds it took in that process."""
        self._connection.send(None)
        return float(self._connection.recv())

    def end(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, make: Callable[[], Callable[[], object]]) -> None:
    measure = stopwatch(make())
    try:
        while True:
            connection.recv()
            connection.send(measure())
    except EOFError:  # the parent has closed the connection
        return


def show(console: Console, title: str, ways: list[Timed], unit: str, baseline: str) -> None:
    """Print a Markdown table: rate, median and spread of a call, ratio to the baseline, first call."""
    reference = next(way for way in ways if way.name == baseline)
    console.print(f"\n{title}\n", markup=False)
    header = ("", f"{unit}/s", "ms per call", "10-90 %", f"relative to {baseline}", "first call, s")
    for cells in (header, ("---", *["---:"] * 5), *((way.name, *_cells(way, reference)) for way in ways)):
        console.print("| " + " | ".join(cells) + " |", markup=False, soft_wrap=True)


def _cells(way: Timed, reference: Timed) -> tuple[str, ...]:
    if way.measure is None:
        return ("-", "-", "-", f"skipped: {way.skipped}", "-")
    ordered = sorted(way.seconds)
    low, high = (ordered[round(share * (len(ordered) - 1))] * 1e3 for share in (0.1, 0.9))
    return (
        f"{way.rate:,.4g}",
        f"{median(way.seconds) * 1e3:,.1f}",
        f"{low:,.1f}-{high:,.1f}",
        f"{way.rate / reference.rate:.2f}",
        f"{way.first_seconds:.1f}",
    )


def ratios(ways: list[Timed], baseline: str) -> Mapping[str, float]:
    """Return the rate of every timed variant relative to the baseline."""
    reference = next(way for way in ways if way.name == baseline)
    return {way.name: way.rate / reference.rate for way in ways if way.measure is not None}


def machine(device: torch.device) -> str:
    """Return a description of the hardware and the clock behind the figures."""
    threads = "" if device.type == "cuda" else f", threads: {torch.get_num_threads()}"
    return f"{hardware(device)}{threads}; {'CPU time' if clock() is time.process_time else 'wall clock'}"


def hardware(device: torch.device) -> str:
    """Return the name of the device and PyTorch's version."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
        found = {line.split(":")[0].strip(): line.split(":")[1].strip() for line in reversed(lines) if ":" in line}
        flags = found.get("flags", "").split()
        special = [flag for flag in ("avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
        model = f"{found.get('model name', platform.machine())} family {found.get('cpu family')}"
        name = " ".join((model, *special))
    return f"{name}; PyTorch {torch.__version__}"
