"""The measurements, in pieces: each piece is one file of the cache, so that an interrupted measurement can continue.

Shapes: S samples, C chains, B images, D latent; nats per image. One thread; times are CPU time of the process, which
excludes waiting for a core.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from iafsweep.atomic import replacing, write_text
from iafsweep.config import EvaluationConfig, HaisConfig, RunConfig
from iafsweep.data import fixed_binarisation
from iafsweep.estimators import (
    Bridge,
    annealed_importance_sampling,
    gradient_evaluations,
    linear_schedule,
    log_weight_blocks,
    sandwich,
    sigmoid_schedule,
)
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.scoring import FrozenStepSize, tune_on_test_images
from iafsweep.evaluation.simulated import SimulatedImages, posterior_start
from iafsweep.models import VAE
from iafsweep.seeds import generator

Start = Literal["posterior", "prior", "base"]
SEED = 0
FORWARD_ROWS, GRADIENT_ROWS = 1000, 400
"""Rows evaluated at a time, as in scoring by the package."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Importance sampling: `runs` runs of `samples` samples on the first `images` of the bench's images."""

    samples: int
    runs: int
    images: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"sampling-{self.samples}-of-{self.images}"


@dataclass(frozen=True, kw_only=True)
class Chains:
    """Chains of HAIS: `chains` of them on each of `images` images."""

    start: Start
    temperatures: int
    leapfrog_steps: int
    chains: int
    images: int

    @property
    def setting(self) -> str:
        """Its name in tables, without the number of chains."""
        return f"{self.start} {self.temperatures}x{self.leapfrog_steps}"

    @property
    def gradients(self) -> int:
        """Gradient evaluations per chain."""
        return gradient_evaluations(self.temperatures, self.leapfrog_steps)

    @property
    def _sizes(self) -> str:
        return f"{self.start}-{self.temperatures}x{self.leapfrog_steps}x{self.chains}-of-{self.images}"


@dataclass(frozen=True, kw_only=True)
class Annealing(Chains):
    """`runs` independent runs on the first `images` of the bench's images."""

    runs: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return self._sizes


@dataclass(frozen=True, kw_only=True)
class Sandwiched(Chains):
    """Forward and reverse chains on `images` images simulated from the model."""

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"sandwich-{self._sizes}"


@dataclass(frozen=True)
class Bench:
    """The inputs of all measurements.

    Attributes:
        cache: folder of the pieces.
        model: the model, in eval mode.
        test: all test images, uint8 [N, X...].
        config: configuration of the run.
        first: index of the first test image scored.
        pilots: settings of the pilot runs, one for each start and number of leapfrog steps; on the first test images.
    """

    cache: Path
    model: VAE
    test: Tensor
    config: RunConfig
    first: int
    pilots: tuple[HaisConfig, ...]

    def images(self, count: int) -> Tensor:
        """Return the bits of the first `count` images scored, [count, X...]."""
        part = self.test[self.first : self.first + count]
        return fixed_binarisation(part, "test", self.config.data.binarisation_seed, self.first)

    def bridge(self, start: Start, x: Tensor) -> Bridge:
        """Return the bridge from a start for the images ``x``."""
        return BRIDGES[start](self.model, x, encode(self.model, x))

    def step_size(self, start: Start, leapfrog_steps: int) -> FrozenStepSize:
        """Return the step size that the pilot of a start found, from the cache if it is there."""
        path = self.cache / f"pilot-{start}-{leapfrog_steps}.json"
        if not path.is_file():
            wanted = (start, leapfrog_steps)
            settings = next(each for each in self.pilots if (each.start, each.resolved().leapfrog_steps) == wanted)
            evaluation = EvaluationConfig(seed=SEED, hais=settings)
            config = self.config.model_copy(update={"evaluation": evaluation})
            frozen = tune_on_test_images(
                self.model, self.test[: self.first], config, self.config.data.binarisation_seed
            )
            write_text(path, frozen.model_dump_json(indent=1) + "\n")
        return FrozenStepSize.model_validate_json(path.read_bytes())


@dataclass(frozen=True)
class Piece:
    """The result of one run.

    Attributes:
        log_weights: [S or C, B]; for a sandwich [2, C, B], forward and reverse.
        acceptance_rate: mean over moves, chains and images; NaN without moves.
        cpu_seconds: CPU time of the process.
        seconds: wall-clock time.
    """

    log_weights: Tensor
    acceptance_rate: float
    cpu_seconds: float
    seconds: float


def run_all(bench: Bench, runs: Sequence[Sampling | Annealing], sandwiches: Sequence[Sandwiched]) -> None:
    """Measure every piece that the cache does not hold."""
    for each in (*runs, *sandwiches):
        pieces(bench, each)


def evaluation_seconds(bench: Bench, images: int, rounds: int) -> dict[str, float]:
    """Return CPU seconds per network evaluation of one image: for ``sampling``, and with gradients for each start.

    Each is the median over rounds of short runs, taken in turns so that other load on the machine affects all alike.
    """
    path = bench.cache / "seconds.json"
    if not path.is_file():
        starts = {pilot.start: pilot.resolved().leapfrog_steps for pilot in bench.pilots}
        short = [
            Annealing(start=start, temperatures=3, leapfrog_steps=steps, chains=16, runs=1, images=images)
            for start, steps in starts.items()
        ]
        sampling = Sampling(samples=100, runs=1, images=images)
        kinds: dict[str, Sampling | Annealing] = {"sampling": sampling} | {each.start: each for each in short}
        evaluations = {"sampling": 100} | {each.start: each.chains * each.gradients for each in short}
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        for run in range(rounds):
            for kind, what in kinds.items():
                seconds[kind].append(_measure(bench, what, run).cpu_seconds / (images * evaluations[kind]))
        write_text(path, json.dumps({kind: statistics.median(each) for kind, each in seconds.items()}) + "\n")
    found: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return found


def pieces(bench: Bench, what: Sampling | Annealing | Sandwiched) -> list[Piece]:
    """Return all pieces of one setting."""
    return [_cached(bench, what, run) for run in range(1 if isinstance(what, Sandwiched) else what.runs)]


def processor() -> str:
    """Return the processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cached(bench: Bench, what: Sampling | Annealing | Sandwiched, run: int) -> Piece:
    path = bench.cache / "pieces" / f"{what.name}-{run}.pt"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        piece = _measure(bench, what, run)
        print(f"{what.name} run {run}: {piece.cpu_seconds:.1f} s CPU, {piece.seconds:.1f} s", flush=True)
        with replacing(path) as temporary:
            torch.save(vars(piece), temporary)
    return Piece(**torch.load(path))


def _measure(bench: Bench, what: Sampling | Annealing | Sandwiched, run: int) -> Piece:
    # Without moves there is no step size to tune.
    step_size = 1.0
    if not isinstance(what, Sampling) and what.temperatures > 1:
        step_size = bench.step_size(what.start, what.leapfrog_steps).step_size
    noise = _generators(what.name, run, what.images)
    if isinstance(what, Sandwiched):
        simulated = _simulate(bench.model, noise)
    started, cpu_started = time.perf_counter(), time.process_time()
    rates: list[float] = []
    if isinstance(what, Sampling):
        bridge = bench.bridge("posterior", bench.images(what.images))
        blocks = log_weight_blocks(bridge, what.samples, noise, rows_per_chunk=FORWARD_ROWS)
        log_weights = torch.cat(list(blocks))
    elif isinstance(what, Annealing):
        annealed = annealed_importance_sampling(
            bench.bridge(what.start, bench.images(what.images)),
            what.chains,
            _schedule(what),
            step_size=step_size,
            leapfrog_steps=what.leapfrog_steps,
            generator=noise,
            rows_per_chunk=GRADIENT_ROWS,
        )
        log_weights = annealed.log_weights
        rates.append(annealed.mean_acceptance_rate or float("nan"))
    else:
        both = sandwich(
            bench.bridge(what.start, simulated.x),
            posterior_start(bench.model, simulated, what.start),
            what.chains,
            _schedule(what),
            step_size=step_size,
            leapfrog_steps=what.leapfrog_steps,
            generator=noise,
            rows_per_chunk=GRADIENT_ROWS,
        )
        log_weights = torch.stack([both.forward.log_weights, both.reverse.log_weights])
        rates += [run.mean_acceptance_rate or float("nan") for run in (both.forward, both.reverse)]
    return Piece(
        log_weights=log_weights,
        acceptance_rate=sum(rates) / len(rates) if rates else float("nan"),
        cpu_seconds=time.process_time() - cpu_started,
        seconds=time.perf_counter() - started,
    )


def _schedule(what: Chains) -> Tensor:
    make = linear_schedule if what.start == "posterior" else sigmoid_schedule
    return make(what.temperatures)


def _generators(name: str, run: int, images: int) -> list[torch.Generator]:
    """Return one generator per image; a sandwich first draws its images, from seeds that all sandwiches share."""
    purpose = "sandwich" if name.startswith("sandwich") else name
    return [generator("cpu", SEED, purpose, run, image) for image in range(images)]


@torch.no_grad()
def _simulate(model: VAE, noise: Sequence[torch.Generator]) -> SimulatedImages:
    """Draw images from the model; the latents that generated them are exact posterior samples."""
    like = next(model.parameters())
    z = torch.cat([model.prior.sample(1, each, like) for each in noise])
    uniform = torch.stack([torch.rand(model.image_shape, generator=each) for each in noise])
    return SimulatedImages((uniform < model.decode(z).sigmoid()).float(), z)
