"""Several trials on one device: `python -m benchmarks.packing`.

1, 2, 4, 8 processes train the same small model side by side, as trials do that share a device; what counts is the
images a second of all together. On a CPU they share its cores, a process at least one thread. Besides, in one process:
the same models stacked along a new dimension and trained together (`torch.func`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from rich.console import Console
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from benchmarks.timing import Timed, machine, show, take_turns
from benchmarks.train import BASELINE, MODELS, SHAPE, WAYS, endless, step_of
from iafsweep.config import ModelConfig
from iafsweep.models import VAE, build_model
from iafsweep.training import resolve_device
from iafsweep.training.objective import bound_terms


def main(
    model: Annotated[str, typer.Option(help="Which of reference, mlp and tiny.")] = "mlp",
    seconds: Annotated[float, typer.Option(help="How long each number of processes trains.")] = 10.0,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 200,
    counts: Annotated[str, typer.Option(help="Numbers of processes, with commas.")] = "1,2,4,8",
    stacked: Annotated[int, typer.Option(help="Models stacked in one process.")] = 4,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
    worker: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Print images a second of all processes together, then those of stacked models."""
    if quick:
        model, seconds, batch_size, counts, stacked = "tiny-mlp", 0.3, 4, "1,2", 2
    config = model_of(model)
    if worker:
        work(config, batch_size, seconds)
        return
    console = Console()
    device = resolve_device("auto")
    console.print(machine(device), markup=False, soft_wrap=True)
    console.print(f"\n{model}, batches of {batch_size}, {seconds:g} s\n\n| processes | images/s of all | against one |")
    console.print("|---:|---:|---:|", markup=False)
    rates: dict[int, float] = {}
    for count in (int(each) for each in counts.split(",")):
        rates[count] = together(model, count, batch_size, seconds)
        console.print(f"| {count} | {rates[count]:,.0f} | {rates[count] / next(iter(rates.values())):.2f} |")
    ways = [
        Timed(BASELINE, step_of(config, WAYS[1], batch_size, device), batch_size),
        Timed(f"{stacked} stacked", stacked_step(config, stacked, batch_size, device), stacked * batch_size),
    ]
    take_turns(ways, 2 if quick else 9)
    show(console, f"{model}, one process", ways, "images", BASELINE)


def model_of(name: str) -> ModelConfig:
    """Return a configuration of `benchmarks.train`, or the miniature of this script."""
    if name != "tiny-mlp":
        return MODELS[name]
    small = {"kind": "mlp", "mlp": {"hidden_sizes": [8]}}
    values = {"latent_size": 4, "encoder": small, "decoder": small, "flow": {"depth": 1, "made": {"width": 8}}}
    return ModelConfig.model_validate(values)


def together(model: str, count: int, batch_size: int, seconds: float) -> float:
    """Images a second of ``count`` processes that train side by side."""
    threads = max(1, (os.cpu_count() or 1) // count)
    words = [sys.executable, "-m", "benchmarks.packing", "--worker", "--model", model]
    words += ["--batch-size", str(batch_size), "--seconds", str(seconds)]
    workers = [
        subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        for _ in range(count)
    ]
    for each in workers:  # all warm before any is timed
        assert each.stdout is not None
        each.stdout.readline()
    for each in workers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    return sum(json.loads(each.communicate()[0].splitlines()[-1]) for each in workers)


def work(config: ModelConfig, batch_size: int, seconds: float) -> None:
    """Be one of the processes: train for some seconds when told to, print images a second."""
    device = resolve_device("auto")
    step = step_of(config, WAYS[1], batch_size, device)
    for _ in range(3):
        step()
    print("ready", flush=True)
    sys.stdin.readline()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        step()
        steps += 1
    if device.type == "cuda":
        torch.cuda.synchronize()
    print(json.dumps(steps * batch_size / (time.perf_counter() - started)))


class _Loss(torch.nn.Module):
    """The loss as a module, to be called with the weights of another model."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return bound_terms(self.model, x, noise).negative_elbo.mean()


def stacked_step(config: ModelConfig, count: int, batch_size: int, device: torch.device) -> Callable[[], object]:
    """Return a step of ``count`` models at once, each on bits and noise of its own."""
    models = [_Loss(build_model(config, SHAPE, seed=seed).to(device)) for seed in range(count)]
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
