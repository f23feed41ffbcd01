"""The steps of the ten minutes, in order of importance."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 600.0
"""What all steps together may take, unless told otherwise."""


@dataclass(frozen=True)
class Step:
    """A step.

    Attributes:
        name: of its figures.
        module: of this package; its process is ``python -m benchmarks.gpu.MODULE``.
        limit: seconds after which it is killed.
        leaves: seconds that must be left for the steps after it, else it is not begun.
        packages: what it cannot do without, beside what every step needs.
    """

    name: str
    module: str
    limit: float
    leaves: float = 0.0
    packages: tuple[str, ...] = ()


STEPS = (
    Step("machine", "machine", 40),
    Step("correctness", "correctness", 75),
    Step("memory", "memory", 25),
    Step("training", "throughput", 60),
    Step("training_compiled", "throughput", 130),
    Step("scoring", "scoring", 70),
    Step("packing", "packing", 55),
    Step("plan", "plan", 45),
    Step("small_sweep", "small_sweep", 75, packages=("ray",)),
    Step("trial_memory", "trial_memory", 25, packages=("ray",)),
    # Both take what the steps above did not need: compiling float32 is for a day on which they were quick.
    Step("training_compiled_float32", "throughput", 120, leaves=100),
    Step("long_training", "long_training", SECONDS),
)
