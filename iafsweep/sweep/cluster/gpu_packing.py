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
"""Returns the bytes of GPU memory that training a configuration takes at most, and those that a GPU has."""

_DRAWN = 128
"""Reckoning the memory of one takes about a tenth of a second."""

_MARGIN = 1.2
"""Measuring the bound, figures and a batch of another shape may take more than a training step."""

_USABLE = 0.95
_MOST = 16

_STEPS = 3
"""The first takes libraries' workspaces, or compiles; the second records a CUDA graph; the third replays it."""


def automatic_gpus(space: SearchSpace, probe: MemoryProbe) -> float:
    """Return the share of a GPU that a trial should get: 1/n, where n of the largest configuration fit.

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


def require_gpu() -> None:
    """See that there is a GPU to measure, before anything is reckoned.

    Raises:
        SweepError: there is none.
    """
    if not torch.cuda.is_available():
        raise SweepError("--gpus-per-trial auto measures a GPU, but PyTorch sees none; name a number, or 0")


def probe_gpu(config: RunConfig) -> tuple[int, int]:
    """Measure some training steps on the first GPU, in processes of their own that give everything back.

    Raises:
        SweepError: they do not fit on it, or their process died.
    """
    return taken_by(train_some, config, torch.cuda.mem_get_info)


class Reserved(NamedTuple):
    """Bytes of GPU memory that a process took for its tensors: at its most, and now, while it is still there."""

    most: int
    now: int


def taken_by(
    train: Callable[[str], Reserved], config: RunConfig, memory: Callable[[], tuple[int, int]]
) -> tuple[int, int]:
    """Return the bytes that a process takes to train, its CUDA context included, and those there are.

    The context is made by whatever asks the GPU anything. So one process looks at the memory before the other has one
    and while that is still there; the driver's own makes none, which would stay for as long as the sweep runs.
    ``train`` takes the configuration as JSON and returns what it took; ``memory`` returns the bytes that are free on
    the GPU, and those that it has. Both travel pickled.

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
                "--gpus-per-trial auto: the process that measures the largest configuration was killed (short of main "
                "memory, perhaps); name a number of GPUs instead"
            ) from None
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise SweepError(
                f"one training step of the largest configuration does not fit on the GPU: {error}"
            ) from None
    # Others who gave memory back meanwhile hide what training took, but never its tensors.
    there = max(free_before - free_after, reserved.now)
    return there + reserved.most - reserved.now, total


def train_some(config_json: str) -> Reserved:
    """Train some steps on the GPU, as a trial does; return what PyTorch took for them."""
    steps(RunConfig.model_validate_json(config_json), torch.device("cuda"))
    torch.cuda.synchronize()
    return Reserved(torch.cuda.max_memory_reserved(), torch.cuda.memory_reserved())


def steps(config: RunConfig, device: torch.device) -> TrainingStep:
    """Train some steps on images of noise, with all that a trial keeps on its device; return the step."""
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
        _beside = (  # images and noise of validation, and the best epoch's weights
            torch.rand((data.held_out, *shape), generator=draws, device=device),
            torch.rand((data.held_out, model.latent_size), generator=draws, device=device),
            [tensor.clone() for tensor in model.state_dict().values()],
        )
    return step
