"""Measure what a sweep costs beyond training: seconds per trial, memory of the driver, time to resume.

It uses the real trainable, TPE and ledger with tiny models on few images, one epoch per trial and one trial at a time.
The cost beyond training is the driver's wall-clock time minus the seconds that trainers report for their epochs. It
includes proposing, starting, checkpoints, figures, TensorBoard and the ledger. The driver is a separate process.

    python benchmarks/sweep_overhead.py --trials 1000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from iafsweep.config import RunConfig
from iafsweep.config.sweep import SweepConfig
from iafsweep.data import TrainingImages
from iafsweep.search_space.distributions import FloatRange, IntRange
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.sweep.callbacks.base import SweepCallback
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.tune.driver import launch_sweep
from iafsweep.sweep.tune.options import LaunchOptions

BASE = RunConfig.model_validate(
    {
        "data": {"source": "mnist_mini", "validation_images": 1000},
        "model": {
            "latent_size": 4,
            "posterior_offset": -1.0,
            "batch_norm_momentum": 0.1,
            "encoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
            "decoder": {"kind": "mlp", "mlp": {"hidden_sizes": [16]}},
            "flow": {"depth": 1, "made": {"width": 8, "hidden_layers": 1}},
        },
        "training": {"epochs": 1, "batch_size": 100, "kl_warmup_epochs": 0},
    }
)


def space_of(trials: int) -> SearchSpace:
    """Return a space of the depth and two continuous parameters, sampled by TPE."""
    return SearchSpace(
        base=BASE,
        parameters=(
            Parameter("model.flow.depth", IntRange(0, 2)),
            Parameter("training.learning_rate", FloatRange(1e-4, 1e-2, None, True)),
            Parameter("training.learning_rate_decay", FloatRange(0.1, 1.0)),
        ),
        sweep=SweepConfig(trials=trials, sampler="tpe", scheduler="none", max_concurrent=1, free_disk=0.1),
    )


def images() -> TrainingImages:
    """Return random images; their content does not affect the cost."""
    pixels = torch.randint(0, 256, (700, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return TrainingImages(pixels[:600], pixels[600:])


def memory() -> dict[str, float]:
    """Return this process's resident memory in MiB: total, own (anonymous), from files, shared, and peak."""
    names = {"VmRSS": "resident", "RssAnon": "own", "RssFile": "files", "RssShmem": "shared", "VmHWM": "peak"}
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if ":" in line and len(line.split()) > 1}
    return {names[key]: round(int(found[key]) / 1024) for key in names}


def drive(folder: Path, trials: int) -> None:
    """Run as the driver process; print the measurements as JSON."""
    node = Node("this machine", 2, 0)
    imported = memory()
    started = time.perf_counter()
    outcome = launch_sweep(space_of(trials), SweepFolder(folder), images(), LaunchOptions(node=node), SweepCallback())
    seconds = time.perf_counter() - started
    own = time.process_time()
    print(
        json.dumps(
            {"status": outcome.status, "seconds": seconds, "processor": own, "imported": imported, "end": memory()}
        )
    )


def run_driver(folder: Path, trials: int) -> dict[str, object]:
    """Run a driver in a separate process and return its measurements."""
    words = [sys.executable, __file__, "--drive", str(folder), "--trials", str(trials)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Measure a sweep and its resumption."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=Path, help="where to put the sweep; default: a temporary folder")
    arguments = parser.parse_args()
    if arguments.drive is not None:
        drive(arguments.drive, arguments.trials)
        return
    with tempfile.TemporaryDirectory(dir=arguments.runs) as temporary:
        folder = Path(temporary) / "sweep"
        first = run_driver(folder, arguments.trials)
        state = read_ledger(folder / "trials.jsonl")
        training = sum(trial.finished.seconds for trial in state.finished if trial.finished is not None)
        wall = first["seconds"]
        assert isinstance(wall, float)
        print(f"{len(state.finished)} trials, {wall:.0f} s, of which training {training:.0f} s")
        print(f"beyond training: {(wall - training) / len(state.finished):.3f} s per trial (start of Ray included)")
        print(f"CPU time of the driver, imports included: {first['processor']:.0f} s")
        print(f"memory of the driver, MiB: {first['imported']} after imports, {first['end']} at the end")
        print(f"ledger {(folder / 'trials.jsonl').stat().st_size / 2**20:.1f} MiB")
        more = run_driver(folder, arguments.trials + 1)
        print(f"resume with one more trial: {more['seconds']:.1f} s (start of Ray and that trial included)")


if __name__ == "__main__":
    main()
