"""Count operations and bytes of a training step, and the speed limits they imply: `python -m benchmarks.count`.

Nothing is timed. PyTorch's counter counts the products on meta tensors; bytes are the sizes of the outputs of the
operations in the forward pass. The rates of the device are its maker's, or measured elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import torch
import typer
from rich.console import Console
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.train import MODELS, SHAPE
from iafsweep.config import ImageFormat
from iafsweep.models import VAE, build_model
from iafsweep.models.made import MaskedLayer
from iafsweep.training.objective import bound_terms

IMAGES = 2


class Counted(NamedTuple):
    """The cost of one training image.

    Attributes:
        forward: operations of the forward pass, by network.
        needed: operations of the flow that its masks leave.
        activations: bytes that the forward pass writes, 2 per number, without parameters.
        parameters: number of trainable parameters.
    """

    forward: dict[str, float]
    needed: float
    activations: float
    parameters: int

    @property
    def step(self) -> float:
        """Operations of forward and backward pass: three times those of the forward pass."""
        return 3 * sum(self.forward.values())

    @property
    def traffic(self) -> float:
        """Bytes moved: forward writes and reads each map, backward reads it and writes and reads its gradient."""
        return 5 * self.activations

    def optimiser(self, batch_size: int) -> float:
        """Return the bytes that the optimiser moves per image of a batch: 7 passes of float32."""
        return 4 * 7 * self.parameters / batch_size


class _Written(TorchDispatchMode):
    """Counts the numbers that operations write, without views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> object:  # noqa: ANN401, D105
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.dim() > 1 and len(out) == IMAGES and not func.is_view:
            self.numbers += out.numel()
        return out


def count(model: VAE) -> Counted:
    """Return the cost of one training image; the model is moved to the meta device."""
    layers = [module for module in model.modules() if isinstance(module, MaskedLayer)]
    needed = sum(2 * float(layer.mask.sum()) for layer in layers)
    parameters = sum(each.numel() for each in model.parameters())
    model = model.to("meta")
    x, noise = torch.empty((IMAGES, *SHAPE), device="meta"), torch.empty((IMAGES, model.latent_size), device="meta")
    forward = {}
    with torch.no_grad():
        for name, module in (("encoder", model.encoder), ("context map", model.context_map), ("flow", model.flow)):
            forward[name] = _flops(model, module, x, noise)
        forward["decoder"] = _flops(model, model.decoder, x, noise)
        with _Written() as written:
            bound_terms(model, x, noise)
    return Counted(forward, needed, 2 * written.numbers / IMAGES, parameters)


def _flops(model: VAE, module: nn.Module | None, x: Tensor, noise: Tensor) -> float:
    if module is None:
        return 0.0
    counter = FlopCounterMode(display=False)
    before = module.register_forward_pre_hook(lambda *_: counter.__enter__() and None)
    after = module.register_forward_hook(lambda *_: counter.__exit__(None, None, None))
    bound_terms(model, x, noise)
    before.remove()
    after.remove()
    return counter.get_total_flops() / IMAGES


def main(
    model: Annotated[str, typer.Option(help="One of reference, mlp and tiny.")] = "reference",
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 200,
    tera_operations: Annotated[float, typer.Option(help="Operations of the device, 10^12 per second.")] = 790.0,
    tera_bytes: Annotated[float, typer.Option(help="Bytes from and to its memory, 10^12 per second.")] = 3.0,
) -> None:
    """Print the counts and the speed limits."""
    console = Console(soft_wrap=True)
    found = count(build_model(MODELS[model], ImageFormat(SHAPE), seed=0))
    for name, flops in found.forward.items():
        console.print(f"{name}: {flops / 1e9:.4f} GFLOP per image, forward")
    console.print(f"flow, forward, only weights kept by the masks: {found.needed / 1e9:.4f} GFLOP")
    console.print(
        f"all networks: {sum(found.forward.values()) / 1e9:.3f} GFLOP forward, {found.step / 1e9:.3f} per step"
    )
    traffic, optimiser = found.traffic, found.optimiser(batch_size)
    console.print(
        f"activations: {found.activations / 1e6:.1f} MB per image written forward, {traffic / 1e6:.1f} moved in a step"
    )
    console.print(
        f"optimiser: {optimiser / 1e6:.1f} MB per image ({found.parameters:,} parameters, 7 passes of float32)"
    )
    by_products = tera_operations * 1e12 / found.step
    by_memory = tera_bytes * 1e12 / (traffic + optimiser)
    console.print(
        f"limit set by products: {by_products:,.0f} images/s; by memory traffic, if nothing is fused: "
        f"{by_memory:,.0f} images/s"
    )


if __name__ == "__main__":
    typer.run(main)
