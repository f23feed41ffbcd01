"""One training step: the bound of a batch, its gradient, and the optimiser's update."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, final

import platformdirs
import torch
from torch import Tensor, nn

from iafsweep.config import TrainingConfig
from iafsweep.models import VAE
from iafsweep.models.precision import full_precision
from iafsweep.training.batches import Batch
from iafsweep.training.computing import Computing
from iafsweep.training.device import flushing_denormals
from iafsweep.training.gradient import Loss, Objective, gradient_of, objective_in
from iafsweep.training.optimiser import clip_gradients, gradient_norm

_STEPS_TO_RECORD = 2  # on a GPU the first step compiles, the second records CUDA graphs, later ones replay
_COMPILERS = ("torch._dynamo", "torch._inductor", "triton")

NORM_EVERY = 10
"""Without clipping, one step in this many measures the gradient norm, because that reads all gradients again."""

SUMS = 5
"""Number of figures that a step returns."""


@final
class TrainingStep:
    """Computes the gradient of an objective on a batch and updates the weights.

    If compiled, forward and backward are two compiled graphs for batches of one size (four graphs with several samples;
    on a GPU, CUDA graphs). The update is not part of them. Neither are the KL weight and the learning rate, so that new
    values need no recompilation.

    Args:
        model: the autoencoder.
        optimiser: optimiser of its weights.
        computing: precision and compilation.
        training: the recipe.
        epoch: the first epoch that it trains, counted from 0; decides the objective.
        compile_seconds: compile time of earlier processes and steps.

    Attributes:
        computing: precision and compilation; if compiling fails, it becomes eager, with a note that says so.
        objective: the training objective.
        compile_seconds: total compile time: the initial value plus the time of the first step (on a GPU also of the
            step that records its graphs); unchanged without compilation.
    """

    def __init__(
        self,
        model: VAE,
        optimiser: torch.optim.Optimizer,
        computing: Computing,
        training: TrainingConfig = TrainingConfig(),  # noqa: B008 - frozen
        *,
        epoch: int = 0,
        compile_seconds: float = 0.0,
    ) -> None:
        self.computing = computing
        self.objective: Objective = objective_in(training, epoch)
        self.compile_seconds = compile_seconds
        self._model = model
        self._optimiser = optimiser
        self._clip = training.gradient_clip
        self._drops = any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())
        device = next(model.parameters()).device
        self._nothing = torch.zeros((), device=device)
        self._devices = [device] if device.type == "cuda" else []
        self._eager = gradient_of(model, computing, self.objective, training.free_bits)
        self._gradient = self._eager
        self._replays = computing.compiled and device.type == "cuda"
        self._steps_to_compile = (_STEPS_TO_RECORD if self._replays else 1) if computing.compiled else 0
        if computing.compiled:
            share_compile_cache()
            # Code compiled for an earlier trial in this process is useless, and PyTorch limits recompilations.
            torch.compiler.reset()
            self._gradient = self._eager.compiled(lambda function: _compiled(function, replays=self._replays))

    def __call__(self, batch: Batch, kl_weight: float) -> Tensor:
        """Train on one batch, without waiting for the device.

        Returns:
            [5]: mean loss, reconstruction and KL of the batch, nats per image; the gradient norm if measured (see
            `NORM_EVERY`), else 0; 1 if the gradient was clipped, else 0.
        """
        with nullcontext() if self._devices else flushing_denormals():
            return self._step(batch, kl_weight)

    def _step(self, batch: Batch, kl_weight: float) -> Tensor:
        # Around forward and backward, outside of the compiled code: float32 must not become TF32 on a GPU.
        with full_precision() if self.computing.precision == "float32" else nullcontext(), self._dropping(batch.seed):
            loss = (self._first_gradients if self._steps_to_compile else self._gradients)(batch, kl_weight)
        norm = clipped = self._nothing
        if self._clip is not None:
            norm = clip_gradients(self._model, self._clip)
            clipped = (norm > self._clip).to(norm.dtype)
        elif batch.number % NORM_EVERY == 0:
            norm = gradient_norm(self._model)
        self._optimiser.step()
        return torch.stack([*loss, norm, clipped])

    def close(self) -> None:
        """Release the compiled code; on a GPU this frees the memory in which its graphs keep a whole step."""
        if self._gradient is not self._eager:
            self._gradient, self._steps_to_compile = self._eager, 0
            torch.compiler.reset()

    @contextmanager
    def _dropping(self, seed: int) -> Iterator[None]:
        """Seed PyTorch's global generators, the only ones dropout can use, and restore them afterwards."""
        if not self._drops:
            yield
            return
        with torch.random.fork_rng(self._devices):
            torch.manual_seed(seed)
            yield

    def _gradients(self, batch: Batch, kl_weight: float) -> Loss:
        # Before any replay, because a replay overwrites the memory of the previous step's gradients.
        self._optimiser.zero_grad(set_to_none=True)
        if self._replays:
            torch.compiler.cudagraph_mark_step_begin()
        return self._gradient.backward(batch, kl_weight)

    def _first_gradients(self, batch: Batch, kl_weight: float) -> Loss:
        """Compile and compute; if compiling fails, continue without it and add a note that says so."""
        self._steps_to_compile -= 1
        averages = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        started = time.perf_counter()
        try:
            loss = self._gradients(batch, kl_weight)
        except RuntimeError as error:
            # By module name: importing the classes would cost runs without a compiler a second.
            if not (self.computing.compiled and type(error).__module__.startswith(_COMPILERS)):
                raise
            reason = " ".join(str(error).split())[:200]
            note = f"compiling the training step failed ({reason}), so it is not compiled and training is slower"
            self.computing = Computing(self.computing.precision, compiled=False, note=note)
            self._replays, self._steps_to_compile, self._gradient = False, 0, self._eager
            self._model.load_state_dict(averages)  # batch norm may have seen the batch already
            loss = self._gradients(batch, kl_weight)
        self.compile_seconds += time.perf_counter() - started
        return loss


def _compiled(function: Callable[..., Any], *, replays: bool) -> Callable[..., Any]:
    mode = "reduce-overhead" if replays else "default"
    return torch.compile(function, dynamic=False, fullgraph=True, mode=mode)


def share_compile_cache() -> Path:
    """Set the folder in which trials, processes and runs share compiled code; return it.

    It is ``TORCHINDUCTOR_CACHE_DIR`` if set, else a folder in the user's cache folder.
    """
    default = Path(platformdirs.user_cache_dir("iafsweep")) / "compiled"
    return Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(default)))
