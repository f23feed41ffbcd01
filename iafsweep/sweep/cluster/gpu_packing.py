"""``--gpus-per-trial auto``: how many trials fit on one GPU, measured on the largest configuration of the space."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import NamedTuple

import torch

from iafsweep.config import RunConfig
from iafsweep.config.plugins import load_plugins, loaded_names
from iafsweep.data import seen_in_training
from iafsweep.errors import SweepError
from iafsweep.models import build_model
from iafsweep.search_space.space import SearchSpace
from iafsweep.seeds import generator
from iafsweep.sweep.cluster.footprint import drawn_configurations
from iafsweep.training.averaging import WeightAverage
from iafsweep.training.batches import EpochBatches
from iafsweep.training.computing import choose_computing
from iafsweep.training.device import is_out_of_memory, training_memory
from iafsweep.training.optimiser import make_optimiser
from iafsweep.training.step import TrainingStep

MemoryProbe = Callable[[RunConfig], tuple[int, int]]
"""Returns the peak of GPU memory that training a configuration takes, and the memory of a GPU, in bytes."""

_DRAWN = 128
"""Estimating the memory of one configuration takes about a tenth of a second."""

_MARGIN = 1.2
"""Measuring the bound, drawing figures and a batch of another shape may take more than a training step."""

_USABLE = 0.95
_MOST = 16

_STEPS = 3
"""The first allocates libraries' workspaces, or compiles; the second records a CUDA graph; the third replays it."""


def automatic_gpus(space: SearchSpace, probe: MemoryProbe) -> float:
    """Return the share of a GPU that a trial should get: 1/n if n trials of the largest configuration fit.

    Raises:
        SweepError: the largest configuration does not fit on a GPU.
    """
    used, total = probe(largest_configuration(space))
    fitting = int(_USABLE * total / (_MARGIN * used))
    if fitting == 0:
        raise SweepError(
            f"the largest configuration of the space takes {used / 2**30:.1f} GiB of GPU memory (plus a fifth as a "
            f"margin), but a GPU has {total / 2**30:.1f} GiB; make models or batches smaller, or set "
            f"--gpus-per-trial 1 to let such trials end as out of memory"
        )
    return 1 / min(fitting, _MOST)


def largest_configuration(space: SearchSpace) -> RunConfig:
    """Return the configuration with the largest estimated training memory among many drawn ones.

    It is not the one with the most parameters: convolutions have few, but keep many times the activations of matrices.
    """
    drawn = {
        (each.model, each.data, each.training.batch_size, each.training.checkpoint_every_epochs): each
        for each in drawn_configurations(space, _DRAWN)
    }
    return max(drawn.values(), key=lambda config: training_memory(config).total)


def require_gpu() -> None:
    """Require a GPU to measure, before anything is estimated.

    Raises:
        SweepError: there is none.
    """
    if not torch.cuda.is_available():
        raise SweepError("--gpus-per-trial auto needs a GPU to measure, but PyTorch sees none; give a number, or 0")


def probe_gpu(config: RunConfig) -> tuple[int, int]:
    """Measure some training steps on the first GPU, in separate processes, which give everything back.

    Raises:
        SweepError: the steps do not fit on it, or their process died.
    """
    return taken_by(train_some, config, torch.cuda.mem_get_info)


class Reserved(NamedTuple):
    """Bytes of GPU memory that a process reserved for its tensors: at its peak, and now, while it still exists."""

    most: int
    now: int


def taken_by(
    train: Callable[[str], Reserved], config: RunConfig, memory: Callable[[], tuple[int, int]]
) -> tuple[int, int]:
    """Return the bytes of GPU memory that a process takes to train, its CUDA context included, and those of the GPU.

    Any query of the GPU creates a context. So one process reads the free memory before the other has a context and
    while that still exists; the driver creates none itself, since that would last as long as the sweep. ``train`` takes
    the configuration as JSON and returns what it reserved; ``memory`` returns the free and the total bytes of the GPU.
    Both are pickled.

    Raises:
        SweepError: there is not enough memory, or a process died.
    """
    context = multiprocessing.get_context("spawn")
    plugged = ProcessPoolExecutor(1, context, load_plugins, (loaded_names(),))
    with ProcessPoolExecutor(1, context) as looking, plugged as training:
        try:
            free_before, total = looking.submit(memory).result()
            reserved = training.submit(train, config.model_dump_json()).result()
            free_after, _ = looking.submit(memory).result()
        except BrokenProcessPool:
            raise SweepError(
                "--gpus-per-trial auto: the process that measures the largest configuration was killed (perhaps for "
                "lack of main memory); give a number of GPUs instead"
            ) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise SweepError(
                f"one training step of the largest configuration does not fit on the GPU: {error}"
            ) from None
    # Memory that other processes free meanwhile hides what training took, but never its tensors.
    there = max(free_before - free_after, reserved.now)
    return there + reserved.most - reserved.now, total


def train_some(config_json: str) -> Reserved:
    """Train some steps on the GPU, as a trial does; return what PyTorch reserved for them."""
    steps(RunConfig.model_validate_json(config_json), torch.device("cuda"))
    torch.cuda.synchronize()
    return Reserved(torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved())


def steps(config: RunConfig, device: torch.device) -> TrainingStep:
    """Train some steps on noise images, with everything that a trial keeps on its device; return the training step."""
    data, training, shape = config.data, config.training, config.image_format.shape
    model = build_model(config.model, config.image_format, training.seed).to(device)
    optimiser = make_optimiser(model, training)
    last = training.epochs - 1  # the objective that takes more samples
    step = TrainingStep(model, optimiser, choose_computing(config, model, device), training, epoch=last)
    draws = generator(device, 0)
    noise = torch.randint(
        data.facts.levels, (data.training_images, *shape), generator=draws, device=device, dtype=torch.uint8
    )
    images, see = seen_in_training(noise, data)
    samples = step.objective.samples
    batches = EpochBatches(images, training.batch_size, model.latent_size, training.seed, 0, samples, see)
    _average = WeightAverage(model, training) if training.weight_average else None
    for batch in islice(batches, _STEPS):
        step(batch, 1.0)
    if data.held_out:
        _beside = (  # validation images and noise, and the best epoch's weights
            torch.rand((data.held_out, *shape), generator=draws, device=device),
            torch.rand((data.held_out, model.latent_size), generator=draws, device=device),
            [tensor.clone() for tensor in model.state_dict().values()],
        )
    return step
