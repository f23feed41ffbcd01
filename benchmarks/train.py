"""Measure training steps per second, also of pythae's VAE_IAF of the same size: `python -m benchmarks.train`.

The plain rows compute everything as it is defined, with the system's memory allocation. *Products alone* are only the
convolutions and matrix products of a step, which no optimisation of the rest can beat. Every variant runs in a separate
process, in turns with the others, on its own batches of random images, including data path and optimiser. With
OMP_NUM_THREADS=1 the clock is CPU time. Compiling takes minutes once for each compiled row (`--skip compiled` leaves
these out). If there is a GPU, the steps run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import nn

from benchmarks.peers import MissingPeerError, pythae_model
from benchmarks.products import products_alone
from benchmarks.timing import Apart, Timed, begin, end_apart, show, take_turns
from iafsweep.config import ImageFormat, ModelConfig, TrainingConfig
from iafsweep.models import VAE, build_model
from iafsweep.models.layers import SkipMlp
from iafsweep.models.made import MaskedLayer
from iafsweep.models.residual import ResidualBlock, halved
from iafsweep.records import Precision
from iafsweep.training import resolve_device
from iafsweep.training.batches import Batch, EpochBatches
from iafsweep.training.computing import Computing
from iafsweep.training.device import keep_freed_memory
from iafsweep.training.optimiser import make_optimiser
from iafsweep.training.step import TrainingStep

SHAPE = (1, 28, 28)
BASELINE = "eager, channels-last, float32"
MLP = {
    "latent_size": 32,
    "posterior_offset": -2.0,
    "batch_norm_momentum": 0.1,
    "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [300, 300]}},
    "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [300, 300]}},
    "flow": {"depth": 4, "made": {"width": 320, "batch_norm": False}},
}
TINY = {
    "latent_size": 4,
    "encoder": {"kind": "resnet", "resnet": {"maps": 2, "hidden_size": 8}},
    "decoder": {"kind": "resnet", "resnet": {"maps": 2}},
    "flow": {"depth": 1, "made": {"width": 8}},
}
SMALL_RESNET = {
    "latent_size": 32,
    "posterior_offset": -2.0,
    "batch_norm_momentum": 0.1,
    "encoder": {"kind": "resnet", "resnet": {"maps": 16, "hidden_size": 256}},
    "decoder": {"kind": "resnet", "resnet": {"maps": 16}},
    "flow": {"depth": 2, "made": {"width": 320}},
}
LEAST = {
    "latent_size": 2,
    "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [4]}},
    "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [4]}},
    "flow": {"depth": 0},
}
MODELS = {
    "reference": ModelConfig(),
    "mlp": ModelConfig.model_validate(MLP),
    "small_resnet": ModelConfig.model_validate(SMALL_RESNET),
    "tiny": ModelConfig.model_validate(TINY),
    "least": ModelConfig.model_validate(LEAST),  # compiles in seconds
}


class Way(NamedTuple):
    """How a row of the table computes its steps."""

    name: str
    memory_format: torch.memory_format
    precision: Precision
    compiled: bool
    plain: bool = False
    bare: bool = False


AS_TRAINED = Way("eager, as trained", torch.channels_last, "float32", compiled=False)
WAYS = (
    Way("eager, channels-first, float32", torch.contiguous_format, "float32", compiled=False, plain=True),
    Way(BASELINE, torch.channels_last, "float32", compiled=False, plain=True),
    AS_TRAINED,
    Way("compiled, channels-last, float32", torch.channels_last, "float32", compiled=True),
    Way("eager, channels-last, bfloat16", torch.channels_last, "bfloat16", compiled=False),
    Way("compiled, channels-last, bfloat16", torch.channels_last, "bfloat16", compiled=True),
    Way("products alone, float32", torch.channels_last, "float32", compiled=False, bare=True),
    Way("products alone, bfloat16", torch.channels_last, "bfloat16", compiled=False, bare=True),
)


def main(
    models: Annotated[
        str, typer.Option(help="Any of reference, mlp, small_resnet, tiny, separated by commas.")
    ] = "reference,mlp",
    rounds: Annotated[int, typer.Option(help="Turns of every variant.")] = 9,
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 200,
    skip: Annotated[str, typer.Option(help="Leave out rows whose name contains this.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
) -> None:
    """Time the steps and print a table for each configuration."""
    console, device = begin()
    if quick:
        models, rounds, batch_size, skip = "tiny", 2, 4, "compiled"
    for name in models.split(","):
        ways = rows_of(name, batch_size, device, skip)
        take_turns(ways, rounds)
        end_apart(ways)
        show(console, f"{name}, batches of {batch_size}, {rounds} turns", ways, "images", BASELINE)


def rows_of(name: str, batch_size: int, device: torch.device, skip: str) -> list[Timed]:
    """Return a row for every variant, and one for pythae."""
    calls = 1 if MODELS[name].encoder.kind != "mlp" or device.type == "cuda" else 10
    ways = [
        Timed(way.name, Apart(partial(_steps, name, way, batch_size, calls)), batch_size * calls)
        for way in WAYS
        if not skip or skip not in way.name
    ]
    try:
        _pythae_step(MODELS["tiny"], 2, torch.device("cpu"))
    except MissingPeerError as error:
        return [*ways, Timed("pythae VAE_IAF", None, batch_size, skipped=str(error))]
    return [*ways, Timed("pythae VAE_IAF", Apart(partial(_pythae_steps, name, batch_size, calls)), batch_size * calls)]


def _steps(name: str, way: Way, batch_size: int, calls: int) -> Callable[[], object]:
    step = step_of(MODELS[name], way, batch_size, resolve_device("auto"))
    return _repeated(products_alone(step) if way.bare else step, calls)


def _pythae_steps(name: str, batch_size: int, calls: int) -> Callable[[], object]:
    return _repeated(_pythae_step(MODELS[name], batch_size, resolve_device("auto")), calls)


def step_of(config: ModelConfig, way: Way, batch_size: int, device: torch.device) -> Callable[[], object]:
    """Return a training step with its own batches; this may change how the process handles freed memory."""
    step, batches = training_step(config, way, device), endless(config, batch_size, device)
    return lambda: step(next(batches), 0.5)


def training_step(config: ModelConfig, way: Way, device: torch.device) -> TrainingStep:
    """Return the training step of a new model; this may change how the process handles freed memory."""
    model = build_model(config, ImageFormat(SHAPE), seed=0).to(device).to(memory_format=way.memory_format)
    if way.plain:
        write_out(model)
    else:
        keep_freed_memory(device)
    return TrainingStep(model, make_optimiser(model, TrainingConfig()), Computing(way.precision, way.compiled))


def write_out(model: VAE) -> None:
    """Make every layer compute as it is defined.

    Layers then multiply by the zeros of masks, the first mlp layer by its input twice, and slicing halves a map.
    """
    for module in model.modules():
        if isinstance(module, MaskedLayer):
            module.blocks = ()
        if isinstance(module, SkipMlp):
            first: Any = module.layers[0]
            first.of_doubled = lambda x, first=first: first(torch.cat((x, x), dim=-1))
        if isinstance(module, ResidualBlock) and module.shortcut is halved:
            module.shortcut = lambda x: x[..., ::2, ::2]


def _pythae_step(config: ModelConfig, batch_size: int, device: torch.device) -> Callable[[], object]:
    networks = build_model(config, ImageFormat(SHAPE), seed=0).to(memory_format=torch.contiguous_format)
    model: nn.Module = pythae_model(config, networks).to(device)
    optimiser = torch.optim.Adam(model.parameters())  # as in pythae's trainer
    batches = endless(config, batch_size, device)

    def step() -> object:
        loss = model({"data": next(batches).x}).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss

    return step


def endless(config: ModelConfig, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Yield batches of random images, prepared as in training."""
    pictures = torch.randint(0, 256, (4 * batch_size, *SHAPE), dtype=torch.uint8).to(device)
    for epoch in count():
        yield from EpochBatches(pictures, batch_size, config.latent_size, 0, epoch)


def _repeated(step: Callable[[], object], calls: int) -> Callable[[], object]:
    def repeat() -> None:
        for _ in range(calls):
            step()

    return repeat


if __name__ == "__main__":
    typer.run(main)
