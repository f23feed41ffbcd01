"""One step of training: the bound of a batch, its gradient, the optimiser's update."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import final

import platformdirs
import torch
from torch import Tensor

from iafsweep.models import VAE
from iafsweep.models.precision import full_precision
from iafsweep.training.batches import Batch
from iafsweep.training.computing import Computing
from iafsweep.training.objective import bound_terms

Means = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Bits and noise of a batch to the means of reconstruction and KL over it, nats per image."""


_STEPS_TO_RECORD = 2  # on a GPU the first compiles and computes, the second records; those after it replay
_COMPILERS = ("torch._dynamo", "torch._inductor", "triton")


@final
class TrainingStep:
    """Follows the gradient of ``mean reconstruction + kl_weight * mean KL`` by one update.

    Compiled, forward and backward are two compiled graphs for batches of one size (on a GPU, CUDA graphs); the update
    is one fused kernel either way. The KL weight and the learning rate stay outside, so that another value compiles
    nothing.

    Attributes:
        computing: how it computes; eager from the first step on where compiling failed, with a note that says so.
        compile_seconds: seconds that compiling took, and those given, of earlier processes; the first step's, on a GPU
            those of the steps that record its graphs too; without compiling they stay what they were.
    """

    def __init__(
        self, model: VAE, optimiser: torch.optim.Optimizer, computing: Computing, compile_seconds: float = 0.0
    ) -> None:
        self.computing = computing
        self.compile_seconds = compile_seconds
        self._model = model
        self._optimiser = optimiser
        self._eager = mean_terms(model, computing)
        self._means = self._eager
        self._replays = computing.compiled and next(model.parameters()).is_cuda
        self._steps_to_compile = (_STEPS_TO_RECORD if self._replays else 1) if computing.compiled else 0
        if computing.compiled:
            self._means = _compiled(self._eager, replays=self._replays)

    def __call__(self, batch: Batch, kl_weight: float) -> Tensor:
        """Train on one batch; return its mean loss, reconstruction and KL, [3], without waiting for the device."""
        gradients = self._first_gradients if self._steps_to_compile else self._gradients
        # Around forward and backward, and outside of what is compiled: float32 is no TF32 on a GPU.
        with full_precision() if self.computing.precision == "float32" else nullcontext():
            means = gradients(batch, kl_weight)
        self._optimiser.step()
        return means

    def close(self) -> None:
        """Let go of what was compiled; on a GPU that is the memory in which its graphs keep a whole step."""
        if self._means is not self._eager:
            self._means, self._steps_to_compile = self._eager, 0
            torch.compiler.reset()

    def _gradients(self, batch: Batch, kl_weight: float) -> Tensor:
        # Before anything is replayed: the gradients of the step before lie in memory that a replay writes over.
        self._optimiser.zero_grad(set_to_none=True)
        if self._replays:
            torch.compiler.cudagraph_mark_step_begin()
        reconstruction, kl = self._means(batch.x, batch.noise)
        loss = reconstruction + kl_weight * kl
        loss.backward()
        return torch.stack([loss.detach(), reconstruction.detach(), kl.detach()])

    def _first_gradients(self, batch: Batch, kl_weight: float) -> Tensor:
        """Compile, and compute; a step that cannot be compiled computes without from now on, and says so."""
        self._steps_to_compile -= 1
        averages = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        started = time.perf_counter()
        try:
            means = self._gradients(batch, kl_weight)
        except RuntimeError as error:
            # By module: importing the classes takes a second that runs without a compiler need not wait for.
            if not (self.computing.compiled and type(error).__module__.startswith(_COMPILERS)):
                raise
            reason = " ".join(str(error).split())[:200]
            note = f"the step is not compiled, training is slower: compiling failed ({reason})"
            self.computing = Computing(self.computing.precision, compiled=False, note=note)
            self._replays, self._steps_to_compile, self._means = False, 0, self._eager
            self._model.load_state_dict(averages)  # batch norm may have seen the batch already
            means = self._gradients(batch, kl_weight)
        self.compile_seconds += time.perf_counter() - started
        return means


def mean_terms(model: VAE, computing: Computing) -> Means:
    """Return the function that a step differentiates: bits and noise to the means of reconstruction and KL.

    Networks compute in the precision of ``computing``, densities in float32: see :mod:`iafsweep.models.vae`.
    """
    device_type = next(model.parameters()).device.type
    lowered = computing.precision == "bfloat16"

    def means(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(device_type, torch.bfloat16, enabled=lowered):
            terms = bound_terms(model, x, noise)
        return terms.reconstruction.mean(), terms.kl.mean()

    return means


def share_compile_cache() -> Path:
    """Keep what is compiled where the next trial, process and run find it; return that folder.

    ``TORCHINDUCTOR_CACHE_DIR`` names it, if set; else it is in the user's cache folder.
    """
    default = Path(platformdirs.user_cache_dir("iafsweep")) / "compiled"
    return Path(os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(default)))


def _compiled(means: Means, *, replays: bool) -> Means:
    share_compile_cache()
    # What an earlier trial of this process compiled is of no more use, and PyTorch gives up after a few versions.
    torch.compiler.reset()
    mode = "reduce-overhead" if replays else "default"
    compiled: Means = torch.compile(means, dynamic=False, fullgraph=True, mode=mode)
    return compiled
