"""Measure samples and gradients per second in scoring, and in other packages: `python -m benchmarks.score`.

Importance sampling evaluates flow, decoder and densities for rows of samples; annealing needs their gradients with
respect to the noise. The figures exclude encoding, which is done once per image whatever the number of samples.

On a CPU, the row *as scored* is the folded model in a separate process that keeps freed memory, as in scoring. A
process that has waited for its turn starts slowly, which matters where a call takes milliseconds. Compare *as scored*
with *folded, apart*, which is also a separate process but does not keep freed memory.

The row *a task* is what a real scoring process does: `score_shard` on a shard of 100 images, including noise, encoding
and statistics of the weights. Compare its rate with *folded*, the arithmetic in a bare loop. pythae's `get_nll` is
importance sampling at the same sizes, but encodes the image for every sample. The flow alone is compared with the
masked autoregressive layers of zuko, nflows and pythae.
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
"""Maps a model, images and a number of rows to the work to time."""

IMAGES = 10
PLAIN = "plain"
TASK_CALLS = {"reference": 5, "mlp": 100, "tiny": 5}
"""Rows of a task, in calls of the bare loop."""


def main(
    models: Annotated[str, typer.Option(help="Any of reference, mlp and tiny, separated by commas.")] = "reference,mlp",
    rounds: Annotated[int, typer.Option(help="Turns of every variant.")] = 7,
    rows: Annotated[int, typer.Option(help="Samples x images per evaluation.")] = 1000,
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
        # It draws its own noise and batches for one image; the total number of samples is the same.
        peer = pythae_model(config, build_model(config, ImageFormat(SHAPE), seed=0)).to(x.device).eval()
    except MissingPeerError as error:
        return [*ways, Timed("pythae get_nll", None, rows, skipped=str(error))]
    return [
        *ways,
        Timed("pythae get_nll", stopwatch(lambda: peer.get_nll(x[:1], n_samples=rows, batch_size=rows)), rows),
    ]


def weights_of(model: VAE, x: Tensor, rows: int) -> Callable[[], object]:
    """Return a function that evaluates the log-weights of ``rows`` rows."""
    noise, bridge = _noise(model, rows), posterior_bridge(model, x, encode(model, x))
    return _without_graph(lambda: bridge.log_densities(noise))


def _gradients(model: VAE, x: Tensor, rows: int) -> list[Timed]:
    return [
        Timed(PLAIN, stopwatch(slopes_of(model, x, rows)), rows),
        Timed("folded", stopwatch(slopes_of(folded(model), x, rows)), rows),
    ]


def slopes_of(model: VAE, x: Tensor, rows: int) -> Callable[[], object]:
    """Return a function that evaluates the gradients of ``rows`` rows."""
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
    """Return a whole task, long enough that the slow start after waiting for a turn hardly matters."""
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
    """Return a new model in eval mode and `IMAGES` random images, on the device."""
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
            ways.append(Timed(name, stopwatch(_without_graph(partial(apply, z, context))), rows))
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
