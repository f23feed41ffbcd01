"""Both command lines in this process, and a sweep whose trials and figures cost nothing."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from iafsweep.cli import single, sweep
from iafsweep.config import RunConfig
from iafsweep.shown_command import program
from iafsweep.sweep.cluster import actor_pool
from iafsweep.sweep.cluster.resources import Node
from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.storage.events import Began, Ended, Finished, Proposed, Started, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.tune.driver import Session, SweepOutcome
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.training import RunFolder
from tests.finished import BASE, SPACE, finish_sweep

TINY = RunConfig.model_validate(
    BASE.model_dump()
    | {
        "evaluation": {
            "bound_images": 10,
            "importance_sampling": {"samples": 4, "images": 10},
            "hais": {"enabled": False, "temperatures": 3, "leapfrog_steps": 1, "chains": 2, "pilot_passes": 1},
        }
    }
)
MAINS = {"run_sweep.py": sweep.main, "run_single.py": single.main}


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class CommandLines:
    """Runs command lines, and those that messages print."""

    def __init__(self, monkeypatch, capsys) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, script, *words) -> Said:
        self._monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        self._capsys.readouterr()
        try:
            MAINS[script]()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        shown = self._capsys.readouterr()
        assert "Traceback" not in shown.err
        return Said(code, shown.out, shown.err)

    def sweep(self, *words) -> Said:
        return self("run_sweep.py", *words)

    def run(self, *words) -> Said:
        return self("run_single.py", *words)

    def paste(self, text: str, which: int = 0, code: int = 0) -> Said:
        """Run a command that stands in a text, as it stands there."""
        script, words = commands_in(text)[which]
        said = self(script, *words)
        assert said.code == code, said.text
        return said


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """The commands in a text: where a program is named, up to the end of the line or of its part of the sentence."""
    found = []
    for which, script in (("sweep", "run_sweep.py"), ("run", "run_single.py")):
        words = program(which)
        assert words[-1] in (script, f"iafsweep-{which}") or words[-1].endswith(f"/iafsweep-{which}")
        called = f"(?:{re.escape(shlex.join(words))}|iafsweep-{which}) "  # the latter in reports, which name no machine
        for start in re.finditer(called, text):
            line = re.split(r"\n|, or |; ", text[start.end() :], maxsplit=1)[0]
            found.append((start.start(), (script, shlex.split(line))))
    assert found, text
    return [command for _, command in sorted(found)]


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Command lines as from a shell in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")  # no command may be broken by it
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(sys, "argv", ["run_sweep.py"])
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield CommandLines(monkeypatch, capsys)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Two trained trials, the first scored, one that failed, one that waits."""
    space = replace(SPACE, base=TINY.model_copy(update={"title": "Which depth?"}))
    return finish_sweep(tmp_path_factory.mktemp("finished") / "sweep", space).path


@pytest.fixture
def folder(finished, cli, tmp_path):
    """The same, to be changed, where a command needs quotes to name it."""
    return SweepFolder(Path(shutil.copytree(finished, tmp_path / "my runs" / "it's 1")))


class Training:
    """Stands in for Tune: copies a trained run for each trial that is left.

    Attributes:
        raises: what ends it instead, once.
        gpus: of this machine.
    """

    def __init__(self, template: Path) -> None:
        self._template = template
        self.raises: BaseException | None = None
        self.gpus = 0

    def run(self, session: Session, nodes: Sequence[Node]) -> SweepOutcome:
        ledger = session.ledger
        ledger.append(Began(at_a_time=1, time="t"))
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise error
        session.budget.begin(session._plan(list(nodes)), ledger.state, session.space.sweep.trials)
        while session.stop.cause is None and (trial := self._next(session)) is not None:
            row = self._train(session, trial)
            ledger.append(row)
            session.budget.finished(row, ledger.state)
        end, reason = session.stop.cause or "completed", session.stop.text
        ledger.append(Ended(outcome=end, reason=reason, time="t"))
        return SweepOutcome(end, ledger.state, reason)

    def _next(self, session: Session) -> str | None:
        state = session.ledger.state
        if state.unfinished:
            return state.unfinished[0].trial
        number = len(state.trials) + 1
        found = make_proposer(session.space).propose(state) if number <= session.space.sweep.trials else None
        if found is None:
            return None
        name, seed = trial_name(number), found.config.training.seed
        row = Proposed(trial=name, number=number, parameters=found.values, seed=seed, key=found.key, time="t")
        session.ledger.append(row)
        return name

    def _train(self, session: Session, trial: str) -> Finished:
        session.ledger.append(Started(trial=trial, time="t"))
        run = RunFolder(session.folder.trial(trial))
        shutil.rmtree(run.path, ignore_errors=True)
        shutil.copytree(self._template, run.path, ignore=shutil.ignore_patterns("evaluation.json"))
        state = run.read_state()
        run.write_state(state.model_copy(update={"images": session.images.fingerprints}))
        return Finished(
            trial=trial, status="completed", epochs=state.epochs, value=105.0, best_epoch=state.best.epoch,
            best_value=105.0, seconds=1.0, gpu_seconds=3600.0 * self.gpus, parameters=1, device="cpu", time="t",
        )  # fmt: skip


class ThisProcess:
    """Stands in for the pool of actors."""

    def __init__(self, images, make_worker, plan, work, stop) -> None:
        self._images, self._make_worker, self._work = torch.from_numpy(images), make_worker, work

    def empty(self) -> None:
        worker = self._make_worker(self._images, torch.device("cpu"))
        while (unit := self._work.next()) is not None:
            needed = {name: self._work.outcome.results[name] for name in unit.needs}
            self._work.keep(unit, worker.run(unit.payload, needed), "cpu")


@pytest.fixture
def training(monkeypatch, finished):
    """Training and scoring without Ray."""
    stands_in = Training(finished / "trials" / "t0001")
    monkeypatch.setattr(LaunchOptions, "ray", lambda options: nullcontext([options.node]))
    monkeypatch.setattr(Session, "run", lambda session, nodes: stands_in.run(session, nodes))
    monkeypatch.setattr(actor_pool, "_Pool", ThisProcess)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: stands_in.gpus)
    return stands_in
