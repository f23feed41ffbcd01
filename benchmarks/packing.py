"""Time several models that train on one device: `python -m benchmarks.packing` (two to three minutes on two cores).

Rows are timed in turns by the wall clock; the rate is the total images per second of all models.

- *n processes*: each trains its own model, eagerly, in one thread, like trials that share a device. On a CPU they share
  its cores.
- *n models stacked in 1 process*: one step trains all of them along a new dimension (`torch.func`), also in one thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Annotated

import torch
import typer
from rich.console import Console
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.timing import hardware
from benchmarks.train import AS_TRAINED, MODELS, SHAPE, endless, step_of
from iafsweep.config import ImageFormat, ModelConfig
from iafsweep.models import VAE, build_model
from iafsweep.training import resolve_device
from iafsweep.training.computing import resolve_precision
from iafsweep.training.objective import bound_terms


class Worker:
    """A process that holds a training step and repeats it for some seconds on request."""

    def __init__(self, model: str, stacked: int, batch_size: int, seconds: float) -> None:
        words = [sys.executable, "-m", "benchmarks.packing", "--worker", "--model", model, "--stacked", str(stacked)]
        words += ["--batch-size", str(batch_size), "--seconds", str(seconds)]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def go(self) -> None:
        """Start a turn of training."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> float:
        """Wait for its next line: 0 after warm-up, then images per second after each turn."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process of this benchmark ended too early; its output is above")
        return float(line)

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass
class Row:
    """A row of the table.

    Attributes:
        name: label of the row.
        workers: the workers that train at the same time.
        rates: total images per second of all workers, one figure per turn.
    """

    name: str
    workers: list[Worker]
    rates: list[float] = field(default_factory=list)

    def take_turn(self) -> None:
        """Let all workers train in parallel for one turn."""
        for worker in self.workers:
            worker.go()
        self.rates.append(sum(worker.answer() for worker in self.workers))


def main(
    model: Annotated[str, typer.Option(help="One of reference, mlp and tiny.")] = "mlp",
    seconds: Annotated[float, typer.Option(help="Length of a turn.")] = 3.0,
    rounds: Annotated[int, typer.Option(help="Turns of every row.")] = 5,
    batch_size: Annotated[int, typer.Option(help="Images per step of one model.")] = 200,
    processes: Annotated[
        str, typer.Option(help="Numbers of processes, separated by commas; the first is the baseline.")
    ] = "1,2,4,8",
    stacked: Annotated[
        str, typer.Option(help="Numbers of models stacked in one process, separated by commas.")
    ] = "2,4,8",
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
    worker: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Print images per second of models that train in parallel, in separate processes and stacked in one."""
    if quick:
        model, seconds, rounds, batch_size, processes, stacked = "tiny-mlp", 0.1, 2, 4, "1,2", "2"
    if worker:
        work(model_of(model), int(stacked), batch_size, seconds)
        return
    console = Console()
    console.print(
        f"{hardware(resolve_device('auto'))}; one thread per process; wall clock", markup=False, soft_wrap=True
    )
    stacks = _numbers(stacked)
    rows = side_by_side(model, _numbers(processes), batch_size, seconds)
    rows += [
        Row(f"{count} models stacked in 1 process", [Worker(model, count, batch_size, seconds)]) for count in stacks
    ]
    take_turns(rows, rounds)
    console.print(f"\n{model}, {AS_TRAINED.name}, batches of {batch_size}, {rounds} turns of {seconds:g} s\n")
    _show(console, rows)


def side_by_side(model: str, numbers: Sequence[int], batch_size: int, seconds: float) -> list[Row]:
    """Return a row for each number of processes; the rows share their processes."""
    workers = [Worker(model, 1, batch_size, seconds) for _ in range(max(numbers))]
    return [Row(f"{count} process{'es' * (count > 1)}", workers[:count]) for count in numbers]


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def take_turns(rows: list[Row], rounds: int) -> None:
    """Wait until all processes are warm, time every row in turns, and end the processes."""
    workers = list(dict.fromkeys(worker for row in rows for worker in row.workers))
    try:
        for worker in workers:
            worker.answer()
        for _ in range(rounds):
            for row in rows:
                row.take_turn()
    finally:
        for worker in workers:
            worker.end()


def _show(console: Console, rows: list[Row]) -> None:
    first = rows[0]
    lines = [f"|  | images/s in total | lowest-highest | relative to {first.name} |", "| --- | ---: | ---: | ---: |"]
    for row in rows:
        rate, span = median(row.rates), f"{min(row.rates):,.0f}-{max(row.rates):,.0f}"
        lines.append(f"| {row.name} | {rate:,.0f} | {span} | {rate / median(first.rates):.2f} |")
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def model_of(name: str) -> ModelConfig:
    """Return a configuration of `benchmarks.train`, or the miniature of this script."""
    if name != "tiny-mlp":
        return MODELS[name]
    small = {"kind": "mlp", "mlp": {"hidden_sizes": [8]}}
    values = {"latent_size": 4, "encoder": small, "decoder": small, "flow": {"depth": 1, "made": {"width": 8}}}
    return ModelConfig.model_validate(values)


def work(config: ModelConfig, models: int, batch_size: int, seconds: float) -> None:
    """Run as a worker process: train for some seconds on each request, and print images per second of all models."""
    device = resolve_device("auto")
    if models > 1:
        step = stacked_step(config, models, batch_size, device)
    else:
        way = AS_TRAINED._replace(precision=resolve_precision("auto", device))  # as for trials on this device
        step = step_of(config, way, batch_size, device)
    for _ in range(3):
        step()
    print(0.0, flush=True)
    for _ in sys.stdin:
        started, steps = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            step()
            steps += 1
        if device.type == "cuda":
            torch.cuda.synchronize()
        print(steps * models * batch_size / (time.perf_counter() - started), flush=True)


class _Loss(torch.nn.Module):
    """The loss as a module, so that it can be called with the weights of another model."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return bound_terms(self.model, x, noise).negative_elbo.mean()


def stacked_step(config: ModelConfig, count: int, batch_size: int, device: torch.device) -> Callable[[], object]:
    """Return a step that trains ``count`` models at once, each on its own bits and noise."""
    models = [_Loss(build_model(config, ImageFormat(SHAPE), seed=seed).to(device)) for seed in range(count)]
    parameters, buffers = stack_module_state(models)
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    optimiser = torch.optim.Adam(leaves.values(), fused=True)
    batches = endless(config, batch_size, device)

    def loss(weights: dict[str, Tensor], state: dict[str, Tensor], x: Tensor, noise: Tensor) -> Tensor:
        found: Tensor = functional_call(models[0], (weights, state), (x, noise))
        return found

    gradients = vmap(grad(loss), in_dims=(0, 0, 0, 0))

    def step() -> None:
        drawn = [next(batches) for _ in range(count)]
        x, noise = torch.stack([each.x for each in drawn]), torch.stack([each.noise for each in drawn])
        found = gradients({name: leaf.detach() for name, leaf in leaves.items()}, buffers, x, noise)
        for name, leaf in leaves.items():
            leaf.grad = found[name]
        optimiser.step()

    return step


if __name__ == "__main__":
    typer.run(main)
