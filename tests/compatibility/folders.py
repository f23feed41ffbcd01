"""Folders that earlier versions wrote, kept as test data: packed, unpacked, and what was read from them then."""

from __future__ import annotations

import json
import lzma
import socket
import tarfile
import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

from iafsweep import load_run, load_sweep
from iafsweep.config import RunConfig
from iafsweep.config.meaning import Kept, old_meanings
from iafsweep.config.section import Section
from iafsweep.config.sweep import Procedure, SweepConfig
from iafsweep.leaderboard.files import _COLUMNS, _value
from iafsweep.records import LeaderboardRow
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.events import Event, Finished, Header, Proposed, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import read_ledger
from iafsweep.sweep.storage.state import replay
from iafsweep.sweep.storage.stored_sweep import space_hash

ROOT = Path(__file__).parents[2]
FOLDERS = Path(__file__).parent / "folders"
VERSIONS = sorted(path.name for path in FOLDERS.iterdir() if path.is_dir())
SWEEPS = ("finished", "killed", "interrupted_scoring", "population")
RUNS = ("run", "model")
_LEFT_OUT = ("tensorboard", ".tune", ".locks", "driver.lock", ".run.lock", "sweep.log", "run.log", "report.html")
"""What names the machine and its folders (events by their files' names, locks, logs), or can be made again."""
_PICTURES = ("samples.png", "reconstructions.png", "data.png")
"""Kept of single runs alone: of trials they are half of all bytes, and nothing but the report shows them."""
_CLOCKS = ("time", "seconds", "gpu_seconds", "compile_seconds", "device")


def pack(folder: Path, to: Path, private: Iterable[str]) -> None:
    """Pack a folder, the same bytes for the same files; refuse one that has any of ``private`` in it."""
    left_out = _ended_trials(folder)
    content = BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_dir() or any(part in _LEFT_OUT for part in inside.parts):
                continue
            if inside.parts[0] == "trials" and (path.name in _PICTURES or path in left_out):
                continue
            data = path.read_bytes()
            if found := [text for text in private if text.encode() in data]:
                raise SystemExit(f"{inside} of {folder.name} holds {found}: leave it out")
            member = tarfile.TarInfo(inside.as_posix())
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    to.write_bytes(lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME))


def _ended_trials(folder: Path) -> set[Path]:
    """``last.pt`` of trials that ended in sweeps that did not: large, and never read again."""
    if not (folder / "trials.jsonl").exists() or folder.name == "finished":
        return set()
    return {folder / "trials" / trial.trial / "last.pt" for trial in read_ledger(folder / "trials.jsonl").finished}


def private_texts(work: Path) -> list[str]:
    """What no file that is kept may say: the machine's name, its folders."""
    host = socket.gethostname()
    return [str(work), str(Path.home()), str(Path(__file__).parents[2]), *([host] if len(host) > 3 else [])]


def unpack(version: str, name: str, to: Path) -> Path:
    """Unpack a folder into ``to`` and return it."""
    path = to / name
    with tarfile.open(FOLDERS / version / f"{name}.tar.xz") as tar:
        tar.extractall(path, filter="data")
    return path


def recorded(version: str) -> dict[str, Any]:
    """Return what was read from the folders of a version when they were made."""
    return json.loads(lzma.decompress((FOLDERS / version / "figures.json.xz").read_bytes()))


def record(found: dict[str, Any], to: Path) -> None:
    """Write what :func:`recorded` reads."""
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    (to / "figures.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))


def sweep_figures(path: Path) -> dict[str, Any]:
    """What the public functions say of a sweep, clocks included: all of it is read from disk."""
    sweep = load_sweep(path)
    runs = {row.trial: SweepFolder(path).trial(row.trial) for row in sweep.rows}
    loaded = {trial: load_run(run) for trial, run in sorted(runs.items()) if (run / "best.pt").exists()}
    return {
        "parameters": list(sweep.parameters),
        "rows": [_flat(row) for row in sweep.rows],
        "problems": [problem.replace(str(path), "FOLDER") for problem in sweep.problems],
        "evaluations": {
            trial: run.evaluation.model_dump(mode="json") for trial, run in loaded.items() if run.evaluation is not None
        },
        "metrics": {trial: [row.model_dump() for row in run.metrics] for trial, run in loaded.items()},
        "trials": trials(path),
    }


def _flat(row: LeaderboardRow) -> dict[str, Any]:
    """A row under the names of 0.1.0, which had a field for each value of a figure."""
    flat = {name: _value(row, path) for name, (path, _) in _COLUMNS.items()}
    own = {"rank": row.rank, "trial": row.trial, "status": row.status, "parameters": dict(row.parameters)}
    return flat | own | {"parameters_count": flat["parameters"]}


def trials(path: Path) -> list[dict[str, Any]]:
    """What the ledger says of each trial but for clocks: names, values, keys, seeds, decisions, bounds."""
    found = []
    for trial in read_ledger(SweepFolder(path).ledger).trials:
        end = {} if trial.finished is None else trial.finished.model_dump(mode="json")
        found.append(
            {
                "trial": trial.trial,
                "parameters": trial.proposed.parameters,
                "seed": trial.proposed.seed,
                "key": trial.proposed.key,
                "repeat": trial.proposed.repeat,
                "rungs": {str(rung.epoch): rung.value for rung in trial.rungs},
                "donors": list(trial.donors),
                "finished": {name: value for name, value in end.items() if name not in _CLOCKS},
            }
        )
    return found


def run_figures(path: Path) -> dict[str, Any]:
    """What ``load_run`` says of a run or an exported model, and figures computed anew from its weights."""
    run = load_run(path, "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # earlier versions did not keep which images a run was trained on
        x = run.images("test", 20)
    return {
        "config": run.config.model_dump(mode="json"),
        "metrics": [row.model_dump() for row in run.metrics],
        "evaluation": None if run.evaluation is None else run.evaluation.model_dump(mode="json"),
        "log_likelihood": run.log_likelihood(x, samples=20).tolist(),
    }


def proposals(space: SearchSpace, count: int = 8) -> list[dict[str, Any]]:
    """What the space's sampler proposes first, if every trial ended with a bound that its values give."""
    events: list[Event] = []
    header = Header(sweep="s", created="t", seed=space.sweep.seed, space=space_hash(space))
    proposer = make_proposer(space)
    for number in range(1, count + 1):
        found = proposer.propose(replay(header, events))
        assert found is not None
        name, seed = trial_name(number), found.config.training.seed
        events.append(
            Proposed(trial=name, number=number, parameters=dict(found.values), seed=seed, key=found.key, time="t")
        )
        bound = 100.0 + int(found.key[:4], 16) / 1000
        end = {"epochs": 2, "value": bound, "best_epoch": 2, "best_value": bound, "seconds": 1.0, "gpu_seconds": 0.0}
        events.append(Finished(trial=name, status="stopped" if number % 3 == 0 else "completed", time="t", **end))
    return [each.model_dump(mode="json") for each in events if isinstance(each, Proposed)]


def meanings() -> dict[str, dict[str, Any]]:
    """What it means that a file does not have a field, of every field."""
    kept: dict[Kept, type[Section]] = {"configuration": RunConfig, "sweep": SweepConfig, "procedure": Procedure}
    return {name: dict(old_meanings(section, name)) for name, section in kept.items()}
