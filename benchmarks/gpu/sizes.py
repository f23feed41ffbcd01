"""How large the steps are: on a GPU, and in a rehearsal on a CPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """What the steps take.

    Attributes:
        model: the configuration of `benchmarks.train` that is trained and scored.
        compiled_model: the one whose step is compiled, and which is trained for long.
        square: rows and columns of the matrices whose product is timed.
        batch_size: images a step.
        large_batch: the same, where more are tried.
        steps: steps timed at once; they are timed `rounds` times.
        rounds: see `steps`.
        profiled: steps whose kernels are looked at.
        short_training: steps after which bounds of both precisions are compared.
        compared_images: images that CPU and device both score.
        compared_samples: samples an image of that.
        compared_annealing: temperatures, leapfrog steps and chains of that.
        too_large: images a step that no quarter of a device holds.
        sampled_rows: rows (samples x images) evaluated at a time in importance sampling, tried in turns.
        annealed_rows: the same of annealing.
        shard_images: images scored at once.
        shards: of those, at most.
        samples: samples an image of the whole figure.
        temperatures: of the annealing that is timed.
        packed: configurations trained side by side.
        processes: how many of each.
        turn: seconds of a turn of them.
        spaces: search spaces that are planned.
        sweep_epochs: of a trial of the small sweep.
        sweep_held_out: images that it holds out of the 10,000 of its training set.
        training_images: of the long training, at most.
        epochs: of the long training, at most.
    """

    model: str
    compiled_model: str
    square: int
    batch_size: int
    large_batch: int
    steps: int
    rounds: int
    profiled: int
    short_training: int
    compared_images: int
    compared_samples: int
    compared_annealing: tuple[int, int, int]
    too_large: int
    sampled_rows: tuple[int, ...]
    annealed_rows: tuple[int, ...]
    shard_images: int
    shards: int
    samples: int
    temperatures: int
    packed: tuple[str, ...]
    processes: tuple[int, ...]
    turn: float
    spaces: tuple[str, ...]
    sweep_epochs: int
    sweep_held_out: int
    training_images: int
    epochs: int


FULL = Sizes(
    model="reference",
    compiled_model="reference",
    square=8192,
    batch_size=200,
    large_batch=1000,
    steps=50,
    rounds=5,
    profiled=10,
    short_training=200,
    compared_images=20,
    compared_samples=100,
    compared_annealing=(10, 2, 8),
    too_large=9000,
    sampled_rows=(1000, 5000, 20_000),
    annealed_rows=(400, 1600, 6400),
    shard_images=100,
    shards=100,
    samples=1000,
    temperatures=20,
    packed=("mlp", "small_resnet"),
    processes=(1, 2, 4, 8),
    turn=1.2,
    spaces=("mnist",),
    sweep_epochs=10,
    sweep_held_out=1000,
    training_images=60_000,
    epochs=2500,
)
REHEARSAL = Sizes(
    model="tiny",
    compiled_model="least",
    square=128,
    batch_size=20,
    large_batch=40,
    steps=2,
    rounds=2,
    profiled=2,
    short_training=3,
    compared_images=3,
    compared_samples=10,
    compared_annealing=(3, 2, 2),
    too_large=9000,
    sampled_rows=(20, 40),
    annealed_rows=(20,),
    shard_images=4,
    shards=2,
    samples=50,
    temperatures=3,
    packed=("tiny",),
    processes=(1, 2),
    turn=0.2,
    spaces=("mnist_smoke",),
    sweep_epochs=3,
    sweep_held_out=9000,
    training_images=200,
    epochs=2,
)
