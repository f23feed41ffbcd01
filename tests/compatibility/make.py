"""Write what this version of the program writes, to be kept as test data: once a version that changes a format.

    .venv/bin/python -m tests.compatibility.make

Sweeps and runs are made with the two commands, the last of them disturbed as the world disturbs them: a driver killed
in the middle of a trial, one interrupted while it scores, a population stopped between two generations. Beside the
packed folders ``figures.json.xz`` says what was read from them then, and what the unfinished ones came to when this
version went on with them. A few minutes on two cores; what is there for this version already is never replaced.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iafsweep.search_space.files import dump_space, load_space
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.stored_sweep import space_hash
from iafsweep.version import package_version
from tests.compatibility import folders

ROOT = Path(__file__).parents[2]
BASE = """
[data]
source = "mnist_mini"
validation_images = 2000
[model]
latent_size = 2
posterior_offset = -1.0
batch_norm_momentum = 0.1
encoder = { kind = "mlp", mlp.hidden_sizes = [2] }
decoder = { kind = "mlp", mlp.hidden_sizes = [2] }
flow = { depth = 1, made = { width = 4, hidden_layers = 1 } }
[training]
epochs = 4
batch_size = 40
kl_warmup_epochs = 0
checkpoint_every_epochs = 2
[evaluation]
bound_images = 100
importance_sampling = { samples = 20, images = 100 }
hais = { enabled = true, images = 20, chains = 2, temperatures = 3, leapfrog_steps = 2, pilot_images = 4 }
"""
SEARCH = """
[search]
"model.flow.depth" = { int = [0, 2] }
"model.flow.made.width" = { choice = [4, 8], when = "model.flow.depth > 0" }
"model.posterior_offset" = { float = [-1.6, -0.4], step = 0.3 }
"training.learning_rate" = { float = [1e-3, 3e-2], log = true }
"""
ASHA = 'scheduler = "asha"\ngrace_epochs = 1\nreduction_factor = 2\nmax_concurrent = 1\n'
SPACES = {
    "finished": BASE.replace("epochs = 4\n", "epochs = 3\n")
    + SEARCH.replace("{ float = [1e-3, 3e-2], log = true }", "{ choice = [0.003, 0.01, 1e30] }")
    + f"[sweep]\ntrials = 6\ntop = 2\nseed = 3\n{ASHA}"
    + "[[sweep.try]]\n"
    + '"model.flow.depth" = 0\n"model.posterior_offset" = -1.0\n"training.learning_rate" = 1e30\n',
    "killed": BASE + SEARCH + f"[sweep]\ntrials = 8\ntop = 1\nseed = 5\n{ASHA}",
    "interrupted_scoring": BASE.replace("samples = 20, images = 100", "samples = 3000, images = 400")
    + SEARCH
    + '[sweep]\ntrials = 3\ntop = 2\nsampler = "quasi_random"\nscheduler = "none"\nmax_concurrent = 1\n',
    "population": BASE
    + '[search]\n"training.learning_rate" = { float = [1e-3, 3e-2], log = true }\n'
    + '[sweep]\ntrials = 4\ntop = 1\nsampler = "random"\nscheduler = "pbt"\ngeneration_epochs = 1\n'
    + "max_concurrent = 1\n",
}
SAMPLERS = ("tpe", "random", "quasi_random", "grid")
"""By whom the first proposals in shipped spaces and a finite one are kept."""


def main() -> None:
    """Make the folders of this version and what is known of them."""
    to = folders.FOLDERS / package_version()
    if to.exists():
        raise SystemExit(f"{to} is there: the folders of a version are made once and stay")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        make_sweeps(work)
        make_run(work)
        packed = work / "packed"
        packed.mkdir()
        private = folders.private_texts(work)
        for each in (*folders.SWEEPS, *folders.RUNS):
            folders.pack(work / each, packed / f"{each}.tar.xz", private)
        folders.record(figures(work), packed)
        shutil.copytree(packed, to)


def command(program: str, *words: object) -> list[str]:
    """Return a command line of the program."""
    return [sys.executable, str(ROOT / program), *map(str, words)]


def run(program: str, *words: object) -> str:
    """Run a command to its end and return what it prints."""
    done = subprocess.run(command(program, *words), env=environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{words} gave {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of the commands: one thread, this checkout."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


def make_sweeps(work: Path) -> None:
    """Launch the sweeps, and disturb those that are to be disturbed."""
    for name, space in SPACES.items():
        (work / f"{name}.toml").write_text(space)
    launch = ("launch", "--runs", work, "--name")
    run("run_sweep.py", *launch, "finished", work / "finished.toml")
    disturb(work, "killed", signal.SIGKILL, lambda folder: _is_between_checkpoints(folder))
    disturb(work, "interrupted_scoring", signal.SIGINT, lambda folder: any(folder.rerun.glob("*.json")))
    disturb(work, "population", signal.SIGINT, lambda folder: _is_in_a_generation(folder))


def disturb(work: Path, name: str, number: signal.Signals, is_time: Callable[[SweepFolder], bool]) -> None:
    """Launch a sweep and send its driver's process group a signal when it is time."""
    folder = SweepFolder(work / name)
    words = command("run_sweep.py", "launch", "--runs", work, "--name", name, work / f"{name}.toml")
    driver = subprocess.Popen(
        words, env=environment(), start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while not is_time(folder):
        if driver.poll() is not None:
            raise SystemExit(f"{name} ended before it could be disturbed:\n{driver.stdout and driver.stdout.read()!r}")
        time.sleep(0.005)
    os.killpg(driver.pid, number)
    driver.communicate()
    while any(str(folder.path).encode() in line for line in _command_lines()):  # trials outlive their driver a little
        time.sleep(0.1)
    time.sleep(5)
    print(f"{name} was disturbed: {run('run_sweep.py', 'status', folder.path)}")


def _is_between_checkpoints(folder: SweepFolder) -> bool:
    """Whether a trial that the sampler proposed from earlier ones has an epoch after its last checkpoint."""
    return any(
        path.parent.name > "t0004" and path.read_text().count("\n") == 3
        for path in folder.trials.glob("*/metrics.jsonl")
    )


def _is_in_a_generation(folder: SweepFolder) -> bool:
    """Whether a member trains that has gone on from a copy of another."""
    if not folder.ledger.exists() or not (state := read_ledger(folder.ledger)).generations:
        return False
    copied = [trial.trial for trial in state.trials if trial.donors]
    return any((folder.trial(each) / "metrics.jsonl").read_text().count("\n") >= 2 for each in copied)


def _command_lines() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


def make_run(work: Path) -> None:
    """Train and score a single run, and export its model."""
    (work / "run.toml").write_text(BASE.replace("epochs = 4\n", "epochs = 2\n"))
    run("run_single.py", work / "run.toml", "--run", work / "run", "--threads", 1)
    run("run_single.py", "--run", work / "run", "--export", work / "model")


def figures(work: Path) -> dict[str, Any]:
    """Return what is read from the folders, and what the unfinished sweeps come to."""
    kept = {name: work / "kept" / name for name in folders.SWEEPS}
    for name, path in kept.items():  # without what is left out of the packed ones
        shutil.copytree(work / name, path, ignore=shutil.ignore_patterns("tensorboard", ".locks", "driver.lock"))
    found: dict[str, Any] = {
        "sweeps": {name: folders.sweep_figures(path) for name, path in kept.items()},
        "tables": {name: run("run_sweep.py", "export", path) and _table(path) for name, path in kept.items()},
        "runs": {name: folders.run_figures(work / name) for name in folders.RUNS},
        "spaces": spaces(work / "finished.toml"),
        "meanings": folders.meanings(),
    }
    (work / "compare.csv").unlink(missing_ok=True)
    run("run_sweep.py", "compare", kept["finished"], "--csv", work / "compare.csv")
    found["compare"] = (work / "compare.csv").read_text()
    for name in ("killed", "interrupted_scoring", "population"):
        run("run_sweep.py", "resume", kept[name])
    run("run_sweep.py", "extend", kept["finished"], "--trials", "+2", "--top", 0)
    found["continued"] = {name: folders.sweep_figures(path) for name, path in kept.items()}
    return found


def _table(path: Path) -> str:
    return SweepFolder(path).leaderboard_csv.read_text()


def spaces(finite: Path) -> dict[str, Any]:
    """Return stored forms, hashes and first proposals of spaces: what identity and draws are made of."""
    found: dict[str, Any] = {}
    for name, path in {"mnist": "mnist", "quick": "quick", "finite": finite}.items():
        for sampler in SAMPLERS[: None if name == "finite" else 3]:
            space = load_space(path, sweep={"sampler": sampler, "seed": 7})
            stored = {"stored": dump_space(space), "hash": space_hash(space)}
            found[f"{name}/{sampler}"] = stored | {"proposals": folders.proposals(space)}
    return found


if __name__ == "__main__":
    main()
