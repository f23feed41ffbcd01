"""Runs the steps one after the other, each in a process of its own, and writes down what is known after each.

Only the standard library is needed here, so that nothing that is missing on a machine costs more than its own steps.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.gpu.context import figures_path, replace_text
from benchmarks.gpu.schedule import Step
from benchmarks.gpu.summary import summary

ROOT = Path(__file__).parent.parent.parent
RESULT, SUMMARY, LOG = "gpu.json", "summary.md", "log.txt"
COMPILED = "gpu-compiled"
FEWEST_SECONDS = 10.0
"""With less time left a step is not begun."""
PATIENCE = 5
"""A rehearsal's steps may take so many times their limits, which are a GPU's: its cores may be busy otherwise."""
LOGGED = 200_000
"""Characters of a step's output that are kept, the last ones."""


@dataclass
class Drive:
    """All steps of one call.

    Attributes:
        out: the folder of results.
        work: a folder for everything else.
        device: where the steps compute.
        rehearsal: whether they are tiny.
        seconds: what all of them together may take.
        found: the results so far.
        began: when.
    """

    out: Path
    work: Path
    device: str
    rehearsal: bool
    seconds: float
    found: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.time)

    def run(self, steps: Sequence[Step], *, keep: bool = False) -> bool:
        """Run the steps; return whether all that were begun ended well and every check held.

        Args:
            steps: in their order.
            keep: keep results that are there already of steps that are not run.
        """
        for folder in (self.out, self.work):
            folder.mkdir(parents=True, exist_ok=True)
        there = json.loads((self.out / RESULT).read_text(encoding="utf-8")) if keep else {}
        self.found = {
            "format": 1,
            "rehearsal": self.rehearsal,
            "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.began)),
            "steps": there.get("steps", {}),
        }
        if not keep:
            (self.out / LOG).unlink(missing_ok=True)
            shutil.rmtree(self.work / COMPILED, ignore_errors=True)
        ran = []
        for step in steps:
            ran.append(self._take(step))
            if ran[-1]["status"] == "interrupted":
                break
        return all(_is_well(each) for each in ran)

    def _take(self, step: Step) -> dict[str, Any]:
        reason = self._reason_to_skip(step)
        said = f"skipped: {reason}" if reason else "..."
        print(f"{time.time() - self.began:6.0f} s  {step.name} {said}", flush=True)
        if reason:
            result = {"status": "skipped", "remark": reason, "seconds": 0.0, "figures": {}}
        else:
            result = self._run(step)
            print(f"{time.time() - self.began:6.0f} s  {step.name} {result['status']} {result['remark']}", flush=True)
        self.found["steps"][step.name] = result
        self._write()
        return result

    def _reason_to_skip(self, step: Step) -> str:
        if missing := [name for name in step.packages if find_spec(name) is None]:
            return f"{' and '.join(missing)} is not installed"
        machine = self.found["steps"].get("machine", {})
        if step.name != "machine" and machine.get("status") == "failed" and "device" not in machine["figures"]:
            return "there is no such device"
        if self._left < max(FEWEST_SECONDS, step.leaves + step.limit * bool(step.leaves)):
            return "no time was left for it"
        return ""

    @property
    def _left(self) -> float:
        return self.began + self.seconds - time.time()

    def _run(self, step: Step) -> dict[str, Any]:
        """Run one step to its end, or until its time is over; its figures are those it has left by then."""
        started, processor = time.time(), _processor_seconds()
        limit = min(step.limit * (PATIENCE if self.rehearsal else 1), self._left)
        figures_path(self.work, step.name).unlink(missing_ok=True)
        output = self.work / f"{step.name}.log"
        status, remark = "failed", ""
        with output.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.gpu.{step.module}", str(self._context(step, started + limit))],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(limit)
                status = "failed" if code else "done"
                remark = _last_line(output) if code > 0 else f"killed by signal {-code}" if code else ""
            except subprocess.TimeoutExpired:
                status, remark = "timed out", f"killed after {limit:.0f} s"
            except KeyboardInterrupt:
                status, remark = "interrupted", "and with it all that was to come"
            finally:
                _end(process)
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(f"--- {step.name}\n{output.read_text(encoding='utf-8', errors='replace')[-LOGGED:]}\n")
        return {
            "status": status,
            "remark": remark,
            "seconds": round(time.time() - started, 1),
            "processor_seconds": round(_processor_seconds() - processor, 1),
            "figures": self._figures(step),
        }

    def _context(self, step: Step, until: float) -> Path:
        path = self.work / f"{step.name}.context.json"
        values = {
            "name": step.name,
            "device": self.device,
            "rehearsal": self.rehearsal,
            "work": str(self.work),
            "kept": str(self.out),
            "until": until,
            "earlier": {name: each["figures"] for name, each in self.found["steps"].items()},
        }
        replace_text(path, json.dumps(values))
        return path

    def _environment(self) -> dict[str, str]:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        changes = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        if self.device == "cpu":  # where threads that wait for each other on busy cores take minutes for seconds
            changes |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        if not self.rehearsal:
            # What compiling costs with nothing cached is a figure; the long training finds what was compiled for it.
            changes["TORCHINDUCTOR_CACHE_DIR"] = str(self.work / COMPILED)
        return os.environ | changes

    def _figures(self, step: Step) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(figures_path(self.work, step.name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def _write(self) -> None:
        self.found["seconds"] = round(time.time() - self.began, 1)
        replace_text(self.out / RESULT, json.dumps(self.found, indent=1) + "\n")
        replace_text(self.out / SUMMARY, summary(self.found))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a step, the processes that it began included."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        print(f"a process of this step does not end (process {process.pid})", flush=True)


def _processor_seconds() -> float:
    """Seconds of CPU that ended processes of this one, and theirs, have taken."""
    spent = os.times()
    return spent.children_user + spent.children_system


def _last_line(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def _is_well(result: dict[str, Any]) -> bool:
    checks = result["figures"].get("checks", [])
    return result["status"] in ("done", "skipped") and all(each["holds"] for each in checks)
