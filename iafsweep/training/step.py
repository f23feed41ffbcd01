"""One step of training: the bound of a batch, its gradient, the optimiser's update."""

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
from iafsweep.training.gradient import Loss, Objective, gradient_of, objective_in
from iafsweep.training.optimiser import clip_gradients, gradient_norm

_STEPS_TO_RECORD = 2  # on a GPU the first compiles and computes, the second records; those after it replay
_COMPILERS = ("torch._dynamo", "torch._inductor", "triton")

NORM_EVERY = 10
"""Where gradients are not clipped, their norm is measured in one step of so many: it reads all of them once more."""

SUMS = 5
"""How many figures a step returns."""


@final
class TrainingStep:
    """Follows the gradient of an objective by one update.

    Compiled, forward and backward are two compiled graphs for batches of one size (four where it takes several samples;
    on a GPU, CUDA graphs); the update is one fused kernel either way. The KL weight and the learning rate stay outside,
    so that another value compiles nothing.

    Args:
        model: the autoencoder.
        optimiser: of its weights.
        computing: how it computes.
        training: the recipe.
        epoch: from which on it is for, 0 the first: it decides the objective.
        compile_seconds: of earlier processes and steps.

    Attributes:
        computing: how it computes; eager from the first step on where compiling failed, with a note that says so.
        objective: what is trained.
        compile_seconds: seconds that compiling took, and those given; the first step's, on a GPU those of the steps
            that record its graphs too; without compiling they stay what they were.
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
            # What an earlier trial of this process compiled is no use, and PyTorch gives up after a few versions.
            torch.compiler.reset()
            self._gradient = self._eager.compiled(lambda function: _compiled(function, replays=self._replays))

    def __call__(self, batch: Batch, kl_weight: float) -> Tensor:
        """Train on one batch, without waiting for the device.

        Returns:
            [5]: mean loss, reconstruction and KL of the batch, nats per image; the norm of the gradient where it was
            measured (see `NORM_EVERY`) and 0 elsewhere; 1 where it was clipped, else 0.
        """
        # Around forward and backward, and outside of what is compiled: float32 is no TF32 on a GPU.
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
        """Let go of what was compiled; on a GPU that is the memory in which its graphs keep a whole step."""
        if self._gradient is not self._eager:
            self._gradient, self._steps_to_compile = self._eager, 0
            torch.compiler.reset()

    @contextmanager
    def _dropping(self, seed: int) -> Iterator[None]:
        """Let dropout, which knows PyTorch's own generators alone, draw from a seed, and leave them as they were."""
        if not self._drops:
            yield
            return
        with torch.random.fork_rng(self._devices):
            torch.manual_seed(seed)
            yield

    def _gradients(self, batch: Batch, kl_weight: float) -> Loss:
        # Before anything is replayed: the gradients of the step before lie in memory that a replay writes over.
        self._optimiser.zero_grad(set_to_none=True)
        if self._replays:
            torch.compiler.cudagraph_mark_step_begin()
        return self._gradient.backward(batch, kl_weight)

    def _first_gradients(self, batch: Batch, kl_weight: float) -> Loss:
        """Compile, and compute; a step that cannot be compiled computes without from now on, and says so."""
        self._steps_to_compile -= 1
        averages = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        started = time.perf_counter()
        try:
            loss = self._gradients(batch, kl_weight)
        except RuntimeError as error:
            # By module: importing the classes takes a second that runs without a compiler need not wait for.
            if not (self.computing.compiled and type(error).__module__.startswith(_COMPILERS)):
                raise
            reason = " ".join(str(error).split())[:200]
            note = f"the step is not compiled, training is slower: compiling failed ({reason})"
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
    """Keep what is compiled where the next trial, process and run find it; return that folder.

    ``TORCHINDUCTOR_CACHE_DIR`` names it, if set; else it is in the user's cache folder.
    """
    default = Path(platformdirs.user_cache_dir("iafsweep")) / "compiled"
    return Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(default)))
