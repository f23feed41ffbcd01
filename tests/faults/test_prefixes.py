"""A sweep is recorded; whatever prefix of its ledger a kill leaves, the sweep goes on as the recorded one did."""

import random

import pytest

from iafsweep.sweep.samplers.build import make_proposer
from iafsweep.sweep.schedulers.asha import Rungs
from iafsweep.sweep.storage.events import Finished, Header, Proposed, Rung, Started, trial_name
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from tests.sweep.tiny import tiny_space

pytestmark = pytest.mark.faults
HEADER = Header(sweep="abc", created="2026-01-01T00:00:00+00:00", seed=0, space="s")
ENDS = ("completed", "completed", "stopped", "diverged", "completed", "oom", "failed")


def record(path, space, trials=14):
    """Run a sweep without training: ends of every kind, rungs decided by the rule, two trials at a time."""
    proposer, draws = make_proposer(space), random.Random(1)
    rungs = Rungs(1, 2, 4)
    decisions = []
    with Ledger.create(path, HEADER) as ledger:
        waiting = []
        for number in range(1, trials + 1):
            found = proposer.propose(ledger.state)
            name = trial_name(number)
            seed = found.config.training.seed
            row = Proposed(trial=name, number=number, parameters=found.values, seed=seed, key=found.key, time="t")
            ledger.append(row)
            ledger.append(Started(trial=name, time="t"))
            waiting.append(name)
            if len(waiting) == 2:
                ended = waiting.pop(0)
                for epoch in (1, 2):
                    value = 100 + draws.random()
                    decisions.append((ended, epoch, value, rungs.record(ended, epoch, value)))
                    ledger.append(Rung(trial=ended, epoch=epoch, value=value, time="t"))
                status = ENDS[number % len(ENDS)]
                value = 100 + draws.random() if status in ("completed", "stopped") else None
                figures = {"value": value, "best_value": value, "best_epoch": 3, "seconds": 1.0, "gpu_seconds": 0.0}
                ledger.append(Finished(trial=ended, status=status, epochs=3, time="t", **figures))
    return decisions


@pytest.mark.parametrize("sampler", ["tpe", "random", "quasi_random"])
def test_after_every_prefix_the_same_trial_is_proposed_next(tmp_path, sampler):
    path = tmp_path / "trials.jsonl"
    space = tiny_space(trials=14, sampler=sampler)
    record(path, space)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    proposals = 0
    for count in range(1, len(lines)):
        cut = b"".join(lines[:count]) + lines[count][: len(lines[count]) // 2]  # killed in the middle of a line
        path.write_bytes(cut)
        with Ledger.open(path) as ledger:
            state = ledger.state
            assert len(state.events) == count - 1
            assert path.read_bytes() == b"".join(lines[:count])
        known = {trial.trial for trial in state.finished} | {trial.trial for trial in state.unfinished}
        assert known == {trial_name(number) for number in range(1, proposals + 1)}
        if b'"row":"proposed"' in lines[count]:
            proposals += 1
            found = make_proposer(space).propose(state)  # of a new process
            row = Proposed.model_validate_json(lines[count])
            assert (found.values, found.key, found.config.training.seed) == (row.parameters, row.key, row.seed)
    assert proposals == 14


def test_after_every_prefix_the_rungs_decide_as_before(tmp_path):
    path = tmp_path / "trials.jsonl"
    decisions = record(path, tiny_space(trials=14, sampler="random"))
    assert {stop for *_, stop in decisions} == {True, False}
    lines = path.read_bytes().splitlines(keepends=True)
    at = 0
    for count in range(1, len(lines)):
        if b'"row":"rung"' not in lines[count]:
            continue
        path.write_bytes(b"".join(lines[:count]))
        rungs = Rungs(1, 2, 4)
        rungs.refill(read_ledger(path).events)
        trial, epoch, value, stop = decisions[at]
        assert rungs.record(trial, epoch, value) == stop
        at += 1
    assert at == len(decisions)
