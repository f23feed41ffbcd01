import json
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from iafsweep.errors import RunFolderError, SweepError
from iafsweep.sweep.cluster.actor_pool import Unit, _Actor, run_units
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.storage.folder import SweepFolder

pytestmark = pytest.mark.faults

PLAN = Plan(at_a_time=2, limited_by="CPU", cpus=1, gpus=0.0)
IMAGES = torch.arange(10, dtype=torch.uint8).reshape(10, 1, 1, 1)


class Adder:
    """Adds the images of a range to what the units before it gave; counts its calls in files."""

    def __init__(self, images, device):
        assert device.type == "cpu"
        self._images = images

    def run(self, payload, needed):
        start, end, folder, fault = payload
        calls = Path(folder) / f"calls-{start}-{end}"
        calls.write_text(f"{calls.read_text() if calls.exists() else ''}x")
        if fault == "raise":
            raise ZeroDivisionError("a bug")
        if fault == "damaged":
            raise RunFolderError("a file is damaged")
        if fault == "die" and calls.read_text() == "x":
            os.kill(os.getpid(), signal.SIGKILL)
        before = sum(json.loads(text)["sum"] for text in needed.values())
        return json.dumps({"sum": before + int(self._images[start:end].sum())})


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(tmp_path / "sweep")


def unit(start, end, tmp_path, fault=None, needs=()):
    return Unit(f"t0001-{start}-{end}.json", (start, end, str(tmp_path), fault), tuple(needs))


def run(units, folder, heard=None):
    said = [] if heard is None else heard
    return run_units(units, folder, IMAGES, Adder, PLAN, said.append)


@pytest.mark.slow
def test_units_are_done_once_in_their_order_whatever_dies(ray_cluster, folder, tmp_path):
    pilot, bad = unit(0, 5, tmp_path), unit(5, 6, tmp_path, "raise")
    units = [
        unit(1, 2, tmp_path, needs=[pilot.name]),
        bad,
        unit(2, 3, tmp_path, needs=[bad.name]),
        pilot,
        unit(6, 10, tmp_path, "die"),
        unit(3, 4, tmp_path, "damaged"),
    ]
    heard = []
    outcome = run(units, folder, heard)
    sums = {name: json.loads(text)["sum"] for name, text in outcome.results.items()}
    assert sums == {pilot.name: 10, units[0].name: 11, units[4].name: 30}
    assert set(outcome.errors) == {bad.name, units[2].name, units[5].name}
    assert "a bug" in outcome.errors[bad.name]
    assert "\x1b" not in outcome.errors[bad.name]
    assert outcome.errors[units[2].name] == f"it needs {bad.name}, which failed"
    assert outcome.errors[units[5].name] == "a file is damaged"  # the user's to mend: without a traceback
    assert outcome.signal is None
    assert [entry[:4] for entry in heard] == [(0, 6, 0, 6), (1, 6, 1, 6), (2, 6, 2, 6), (3, 6, 3, 6)]
    assert (tmp_path / "calls-6-10").read_text() == "xx"
    done = [units[0], pilot, units[4]]
    folder.result(pilot.name).write_text('{"su')  # damaged: made again, alone
    assert run(done, folder).results == outcome.results
    assert (tmp_path / "calls-0-5").read_text() == "xx"
    assert (tmp_path / "calls-1-2").read_text() == "x"


class Poisoned(Adder):
    """Units marked so spoil the process, as an illegal access spoils its CUDA context: no later call goes well."""

    _spoilt = False

    def run(self, payload, needed):
        calls = Path(payload[2]) / f"calls-{payload[0]}-{payload[1]}"
        self._spoilt |= payload[3] == "always" or (payload[3] == "once" and not calls.exists())
        text = super().run(payload, needed)
        if self._spoilt:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return text


@pytest.mark.parametrize(("fault", "calls"), [("once", "xx"), pytest.param("always", "xxxx", marks=pytest.mark.slow)])
def test_a_process_whose_gpu_has_failed_does_no_further_units(ray_cluster, folder, tmp_path, fault, calls):
    bad, after = unit(0, 2, tmp_path, fault), [unit(start, 10, tmp_path) for start in range(6, 10)]
    plan = replace(PLAN, at_a_time=1)
    outcome = run_units([bad, *after], folder, IMAGES, Poisoned, plan, lambda done: None)
    assert set(outcome.results) | set(outcome.errors) == {each.name for each in (bad, *after)}
    assert list(outcome.errors) == ([bad.name] if fault == "always" else [])
    assert all("illegal memory access" in error for error in outcome.errors.values())
    assert (tmp_path / "calls-0-2").read_text() == calls
    assert {path.read_text() for path in tmp_path.glob("calls-*-10")} == {"x"}


class Endless:
    """Works on its unit until it is killed."""

    def __init__(self, images, device):
        pass

    def run(self, payload, needed):
        Path(payload).touch()
        threading.Event().wait()


def test_ctrl_c_is_not_told_as_a_failure(ray_cluster, folder, tmp_path, capfd):
    begun = tmp_path / "begun"

    def interrupt():
        while not begun.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    plan = replace(PLAN, at_a_time=1)
    outcome = run_units([Unit("t0001", str(begun))], folder, IMAGES, Endless, plan, lambda done: None)
    assert (outcome.stopped, outcome.signal, outcome.errors) == (True, signal.SIGINT, {})
    time.sleep(0.5)  # Ray's own lines come from a thread of its own
    assert capfd.readouterr() == ("", "")


def test_processes_on_one_gpu_are_kept_to_their_shares(monkeypatch):
    """One alone would take what the others need: chunks are halved only once an allocation fails."""
    shares = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    threads = torch.get_num_threads()
    actor = _Actor(Adder, replace(PLAN, gpus=0.25), ())
    torch.set_num_threads(threads)
    assert actor._device.type == "cuda"
    assert shares == [pytest.approx(0.95 * 0.25)]


def test_finished_units_need_no_ray(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("iafsweep.sweep.cluster.actor_pool._Pool", None)
    folder.create()
    first = unit(0, 3, tmp_path)
    folder.result(first.name).write_text('{"sum": 3}')
    assert run([first], folder).results == {first.name: '{"sum": 3}'}
    assert not (tmp_path / "calls-0-3").exists()


def test_second_driver_is_refused(folder, tmp_path):
    folder.create()
    with folder.lock(), pytest.raises(SweepError, match="in use by another driver"):
        run([unit(0, 3, tmp_path)], folder)


def test_wrong_units_are_refused(folder, tmp_path):
    first = unit(0, 3, tmp_path)
    with pytest.raises(ValueError, match="same name"):
        run([first, first], folder)
    with pytest.raises(ValueError, match="not among them"):
        run([unit(0, 3, tmp_path, needs=["other.json"])], folder)
