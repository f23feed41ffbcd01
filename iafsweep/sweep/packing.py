"""``--gpus-per-trial auto``: how many trials fit on one GPU, measured on the largest configuration of the space."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import torch

from iafsweep.config import RunConfig
from iafsweep.errors import SweepError
from iafsweep.models import build_model
from iafsweep.seeds import generator
from iafsweep.sweep.sizes import drawn_configurations
from iafsweep.sweep.space import SearchSpace
from iafsweep.training.memory import training_memory
from iafsweep.training.objective import bound_terms

MemoryProbe = Callable[[RunConfig], tuple[int, int]]
"""Returns the bytes of GPU memory that training a configuration takes at most, and those that a GPU has."""
_DRAWN = 128
"""Reckoning the memory of one takes about a tenth of a second."""
_MARGIN = 1.2
"""Validation, figures and a batch of another shape may take more than one training step."""
_USABLE = 0.95
_MOST = 16


def automatic_gpus(space: SearchSpace, probe: MemoryProbe) -> float:
    """Return the share of a GPU that a trial should get: 1/n, where n of the largest configuration fit.

    Args:
        space: the search space.
        probe: measures one configuration.

    Raises:
        SweepError: the largest configuration does not fit on a GPU.
    """
    used, total = probe(largest_configuration(space))
    fitting = int(_USABLE * total / (_MARGIN * used))
    if fitting == 0:
        raise SweepError(
            f"the largest configuration of the space takes {used / 2**30:.1f} GiB of GPU memory (and a fifth more is "
            f"kept in hand), but a GPU has {total / 2**30:.1f} GiB; make models or batches smaller, or name "
            f"--gpus-per-trial 1 to let such trials end as out of memory"
        )
    return 1 / min(fitting, _MOST)


def largest_configuration(space: SearchSpace) -> RunConfig:
    """Return the configuration that takes the most memory to train, as it is reckoned, among many drawn ones.

    Not the one with the most parameters: convolutions have few, and keep many times more of a batch than matrices do.
    """
    drawn = {
        (each.model, each.data, each.training.batch_size, each.training.checkpoint_every_epochs): each
        for each in drawn_configurations(space, _DRAWN)
    }
    return max(drawn.values(), key=lambda config: training_memory(config).total)


def probe_gpu(config: RunConfig) -> tuple[int, int]:
    """Measure one training step on the first GPU, in a process of its own that gives everything back.

    Raises:
        SweepError: there is no GPU, or the step does not fit on it.
    """
    if not torch.cuda.is_available():
        raise SweepError("--gpus-per-trial auto measures a GPU, but PyTorch sees none; name a number, or 0")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply(_measure, (config.model_dump_json(),))
        except torch.cuda.OutOfMemoryError as error:
            raise SweepError(
                f"one training step of the largest configuration does not fit on the GPU: {error}"
            ) from None


def _measure(config_json: str) -> tuple[int, int]:
    """Train one step; return the bytes the process takes of the GPU, its CUDA context included, and those it has."""
    config = RunConfig.model_validate_json(config_json)
    free_before, total = torch.cuda.mem_get_info()
    device = torch.device("cuda")
    draws = generator(device, 0)
    model = build_model(config.model, config.data.facts.image_shape, 0).to(device)
    optimiser = torch.optim.Adam(model.parameters(), fused=True)
    batch, shape = config.training.batch_size, config.data.facts.image_shape
    for _ in range(2):  # libraries take their workspaces in the first step
        x = torch.rand((batch, *shape), generator=draws, device=device).round()
        noise = torch.randn((batch, model.latent_size), generator=draws, device=device)
        terms = bound_terms(model, x, noise)
        (terms.reconstruction.mean() + terms.kl.mean()).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    free_after, _ = torch.cuda.mem_get_info()
    images = config.data.facts.training_images * int(torch.tensor(shape).prod())
    return max(free_before - free_after, torch.cuda.max_memory_reserved()) + images, total
