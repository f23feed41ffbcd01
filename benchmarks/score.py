"""Scoring: samples and gradients a second, plain, folded, and in other packages: `python -m benchmarks.score`.

Importance sampling evaluates flow, decoder and densities for rows of samples; annealing needs their gradients in the
noise. The images are encoded before, once each whatever the number of samples: none of that is in a figure. On a CPU
the row *as scored* is the folded model in a process of its own that keeps the memory it frees, as scoring does. A
process that has waited for its turn is slow to begin, which shows where a call takes milliseconds: *folded, apart* is
such a one without that memory, and what *as scored* is to be compared with.
The row *a task* is what a real scoring process does, `score_shard` on a shard of 100 images, with all that is around
the arithmetic: noise, encoding, statistics of the weights; its rate is to be compared with *folded*, the arithmetic in
a bare loop. pythae's `get_nll` does importance sampling its own way, which encodes the image for every sample, on the
same sizes.
The flow alone stands beside the masked autoregressive layers of zuko, nflows and pythae.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
import typer
from torch import Tensor

from benchmarks.peers import MissingPeerError, nflows_flow, pythae_model, zuko_flow
from benchmarks.timing import Apart, Timed, begin, end_apart, show, stopwatch, take_turns
from benchmarks.train import MODELS, SHAPE
from iafsweep.config import ImageFormat, ModelConfig, RunConfig
from iafsweep.estimators.hmc import evaluate
from iafsweep.estimators.noise import NOISE_BLOCK
from iafsweep.evaluation.bridges import encode, posterior_bridge
from iafsweep.evaluation.scoring import score_shard
from iafsweep.evaluation.shards import SHARD_IMAGES, plan_shards
from iafsweep.models import VAE, build_model, folded
from iafsweep.models.precision import full_precision
from iafsweep.training.device import keep_freed_memory

WorkOf = Callable[[VAE, Tensor, int], Callable[[], object]]
"""Model, images and rows to the work that is timed."""

IMAGES = 10
PLAIN = "plain"
TASK_CALLS = {"reference": 5, "mlp": 100, "tiny": 5}
"""How many calls of the bare loop a task has the rows of."""


def main(
    models: Annotated[str, typer.Option(help="Which of reference, mlp and tiny, with commas.")] = "reference,mlp",
    rounds: Annotated[int, typer.Option(help="Turns that every way is given.")] = 7,
    rows: Annotated[int, typer.Option(help="Samples x images evaluated at a time.")] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
) -> None:
    """Time and print three tables for each configuration."""
    console, device = begin()
    if quick:
        models, rounds, rows = "tiny", 2, 20
    for name in models.split(","):
        config = MODELS[name]
        model, x = model_and_images(config, device)
        with full_precision():
            for title, ways in (
                (
                    "importance sampling",
                    [
                        *_sampling(config, model, x, rows),
                        *_apart(name, rows, device, weights_of),
                        *_tasks(name, rows, device),
                    ],
                ),
                ("gradients of annealing", [*_gradients(model, x, rows), *_apart(name, rows, device, slopes_of)]),
                ("the flow alone", _flows(config, model, x, rows)),
            ):
                take_turns(ways, rounds)
                end_apart(ways)
                show(console, f"{name}, {title}, {rows} rows at a time, {rounds} turns", ways, "rows", PLAIN)


def _sampling(config: ModelConfig, model: VAE, x: Tensor, rows: int) -> list[Timed]:
    ways = [
        Timed(PLAIN, stopwatch(weights_of(model, x, rows)), rows),
        Timed("folded", stopwatch(weights_of(folded(model), x, rows)), rows),
    ]
    try:
        # It has randomness, batches and images of its own: as many samples in all.
        peer = pythae_model(config, build_model(config, ImageFormat(SHAPE), seed=0)).to(x.device).eval()
    except MissingPeerError as error:
        return [*ways, Timed("pythae get_nll", None, rows, skipped=str(error))]
    return [
        *ways,
        Timed("pythae get_nll", stopwatch(lambda: peer.get_nll(x[:1], n_samples=rows, batch_size=rows)), rows),
    ]


def weights_of(model: VAE, x: Tensor, rows: int) -> Callable[[], object]:
    """Return what evaluates the log-weights of so many rows."""
    noise, bridge = _noise(model, rows), posterior_bridge(model, x, encode(model, x))
    return _without_graph(lambda: bridge.log_densities(noise))


def _gradients(model: VAE, x: Tensor, rows: int) -> list[Timed]:
    return [
        Timed(PLAIN, stopwatch(slopes_of(model, x, rows)), rows),
        Timed("folded", stopwatch(slopes_of(folded(model), x, rows)), rows),
    ]


def slopes_of(model: VAE, x: Tensor, rows: int) -> Callable[[], object]:
    """Return what evaluates the gradients of so many rows."""
    noise, bridge = _noise(model, rows), posterior_bridge(model, x, encode(model, x))
    return lambda: evaluate(noise, bridge.log_densities)


def _apart(name: str, rows: int, device: torch.device, work_of: WorkOf) -> list[Timed]:
    if device.type != "cpu":
        return []
    return [
        Timed("folded, apart", Apart(partial(_folded_work, name, rows, work_of, keeps=False)), rows),
        Timed("as scored", Apart(partial(_folded_work, name, rows, work_of, keeps=True)), rows),
    ]


def _tasks(name: str, rows: int, device: torch.device) -> list[Timed]:
    """A whole task, long enough that a process which waited for its turn is in step again."""
    if device.type != "cpu":
        return []
    samples = NOISE_BLOCK * max(1, TASK_CALLS[name] * rows // (NOISE_BLOCK * SHARD_IMAGES))
    return [Timed("a task", Apart(partial(_task, name, samples)), samples * SHARD_IMAGES)]


def _task(name: str, samples: int) -> Callable[[], object]:
    keep_freed_memory(torch.device("cpu"))
    model, _ = model_and_images(MODELS[name], torch.device("cpu"))
    config = RunConfig(model=MODELS[name])
    images = torch.randint(256, (SHARD_IMAGES, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    (shard,) = plan_shards("importance_sampling", "test", SHARD_IMAGES, samples, 0)
    return partial(score_shard, folded(model), images, shard, config)


def _folded_work(name: str, rows: int, work_of: WorkOf, *, keeps: bool) -> Callable[[], object]:
    device = torch.device("cpu")
    if keeps:
        keep_freed_memory(device)
    model, x = model_and_images(MODELS[name], device)
    return work_of(folded(model), x, rows)


def model_and_images(config: ModelConfig, device: torch.device) -> tuple[VAE, Tensor]:
    """Return a new model in eval mode and `IMAGES` images of noise, on the device."""
    model = build_model(config, ImageFormat(SHAPE), seed=0).to(device).eval().requires_grad_(requires_grad=False)
    return model, torch.rand((IMAGES, *SHAPE), generator=torch.Generator().manual_seed(0)).round().to(device)


def _flows(config: ModelConfig, model: VAE, x: Tensor, rows: int) -> list[Timed]:
    flow, made = config.flow, config.flow.made
    sizes = (config.latent_size, flow.resolved_context_size, made.width, flow.depth)
    z = _noise(model, rows).flatten(0, 1)
    context = torch.randn((len(z), flow.resolved_context_size), device=x.device)
    fast = folded(model)
    ways = [
        Timed(PLAIN, stopwatch(_without_graph(lambda: model.flow(z, context))), rows),
        Timed("folded", stopwatch(_without_graph(lambda: fast.flow(z, context))), rows),
    ]
    for name, make in (("zuko", zuko_flow), ("nflows", nflows_flow)):
        try:
            apply = make(*sizes, x.device)
        except MissingPeerError as error:
            ways.append(Timed(name, None, rows, skipped=str(error)))
        else:
            ways.append(Timed(name, stopwatch(_without_graph(lambda apply=apply: apply(z, context))), rows))
    try:
        peer = pythae_model(config, build_model(config, ImageFormat(SHAPE), seed=0)).to(x.device).eval()
    except MissingPeerError as error:
        return [*ways, Timed("pythae IAF", None, rows, skipped=str(error))]
    return [*ways, Timed("pythae IAF", stopwatch(_without_graph(lambda: peer.iaf_flow.inverse(z))), rows)]


def _without_graph(work: Callable[[], object]) -> Callable[[], object]:
    def quiet() -> object:
        with torch.no_grad():
            return work()

    return quiet


def _noise(model: VAE, rows: int) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    noise = torch.randn((rows // IMAGES, IMAGES, model.latent_size), generator=draws)
    return noise.to(next(model.parameters()).device)


if __name__ == "__main__":
    typer.run(main)
