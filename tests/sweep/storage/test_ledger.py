import json
import os

import pytest

from iafsweep.errors import SweepError
from iafsweep.sweep.storage.events import Began, Finished, Header, Proposed, Rung, Started, trial_name
from iafsweep.sweep.storage.ledger import Ledger, read_ledger
from iafsweep.sweep.storage.state import replay
from iafsweep.version import FORMAT, VERSION

pytestmark = pytest.mark.faults

HEADER = Header(sweep="abc", created="2026-01-01T00:00:00+00:00", seed=0, space="s")


def proposed(number: int) -> Proposed:
    return Proposed(
        trial=trial_name(number), number=number, parameters={"x": number, "y": 0.5}, seed=1, key=f"k{number}", time="t"
    )


def finished(number: int, value: float | None = 100.0, status="completed") -> Finished:
    return Finished(
        trial=trial_name(number),
        status=status,
        epochs=4,
        value=value,
        best_epoch=4,
        best_value=value,
        seconds=1.5,
        gpu_seconds=0.0,
        time="t",
    )


EVENTS = (
    proposed(1),
    Started(trial="t0001", time="t"),
    proposed(2),
    Rung(trial="t0001", epoch=2, value=110.0, time="t"),
    Started(trial="t0002", time="t"),
    finished(1),
    Rung(trial="t0002", epoch=2, value=float("inf"), time="t"),
    Started(trial="t0002", time="t"),
    proposed(3),
    finished(2, 90.0, "stopped"),
    finished(3, None, "diverged"),
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "trials.jsonl"
    with Ledger.create(path, HEADER) as ledger:
        for event in EVENTS:
            ledger.append(event)
    return path


def test_rows_come_back_as_they_were_written(path):
    state = read_ledger(path)
    assert state.header == HEADER
    assert state.events == EVENTS
    assert state.problems == ()


def test_state_tells_trials_best_and_keys(path):
    state = read_ledger(path)
    assert [trial.trial for trial in state.trials] == ["t0001", "t0002", "t0003"]
    assert state.unfinished == ()
    assert state.best.trial == "t0001"  # a stopped trial is never best, however good
    assert state.trials[1].starts == 2
    assert state.keys == {"k1", "k2", "k3"}
    assert state.last_number == 3


@pytest.mark.parametrize("count", range(len(EVENTS) + 1))
def test_every_prefix_replays(path, count):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: count + 1]))
    state = read_ledger(path)
    assert state == replay(HEADER, EVENTS[:count])
    ended = {event.trial for event in EVENTS[:count] if isinstance(event, Finished)}
    known = {event.trial for event in EVENTS[:count]}
    assert {trial.trial for trial in state.finished} == ended
    assert {trial.trial for trial in state.unfinished} == known - ended


def test_cut_anywhere_loses_at_most_the_row_that_was_being_written(path):
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    for size in range(first, len(content), 11):
        path.write_bytes(content[:size])
        with Ledger.open(path) as ledger:
            whole = content[:size].count(b"\n") - 1
            assert ledger.state.events == EVENTS[:whole]
            ledger.append(Started(trial="t0001", time="again"))
        lines = path.read_bytes().splitlines()
        assert len(lines) == whole + 2
        assert all(json.loads(line) for line in lines)


def test_reading_leaves_a_cut_line_in_the_file_and_names_it(path):
    content = path.read_bytes()[:-5]
    path.write_bytes(content)
    state = read_ledger(path)
    assert len(state.events) == len(EVENTS) - 1
    assert state.problems == ("trials.jsonl line 12 is cut off and left out",)
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe\x00", b'{"row": "finished"}', b"[1]"])
def test_damaged_line_in_the_middle_is_named_and_the_others_used(path, damage):
    lines = path.read_bytes().splitlines()
    lines[4] = damage  # the rung row of t0001
    path.write_bytes(b"\n".join(lines) + b"\n")
    state = read_ledger(path)
    assert state.problems == ("trials.jsonl line 5 is damaged and left out",)
    assert state.events == EVENTS[:3] + EVENTS[4:]


def test_a_row_of_no_kind_is_damage_if_this_version_wrote_it_and_another_versions_if_not(path):
    path.write_bytes(path.read_bytes() + b'{"row": "surprise"}\n')
    with pytest.raises(SweepError, match="line 13, was written by iafsweep 0.1.0 and has rows of kind 'surprise'"):
        read_ledger(path)
    began = Began(at_a_time=1, time="t", format=FORMAT, written_by=VERSION)
    path.write_bytes(path.read_bytes().replace(b'{"row": "sur', began.model_dump_json().encode() + b'\n{"row": "sur'))
    assert read_ledger(path).problems == ("trials.jsonl line 14 is damaged and left out",)


def test_rows_that_cannot_be_are_left_out_and_named(path):
    lines = path.read_bytes().splitlines()
    del lines[1]  # the proposal of t0001
    path.write_bytes(b"\n".join([*lines, lines[-1]]) + b"\n")
    state = read_ledger(path)
    assert [trial.trial for trial in state.trials] == ["t0002", "t0003"]
    assert "started row of t0001 left out: the trial was never proposed" in state.problems
    assert state.problems[-1] == "finished row of t0003 left out: the trial had already ended"
    assert state.last_number == 3


def test_name_of_a_lost_proposal_is_not_given_again():
    state = replay(HEADER, [Started(trial="t0007", time="t")])
    assert state.last_number == 7


@pytest.mark.parametrize("name", ["../t0001", "t1", "t0001/..", "T0001", "t0001\n", ""])
def test_hostile_trial_names_are_damage(path, name):
    line = EVENTS[0].model_dump() | {"trial": name}
    path.write_bytes(path.read_bytes() + json.dumps(line).encode() + b"\n")
    assert read_ledger(path).problems == ("trials.jsonl line 13 is damaged and left out",)


def test_another_version_is_refused(path):
    content = path.read_text().replace('"ledger":3', '"ledger":4,"novelty":true', 1)
    path.write_text(content)
    with pytest.raises(
        SweepError, match="ledger of version 4 written by iafsweep 0.1.0, but this program .* reads versions 2 to 3"
    ):
        read_ledger(path)


@pytest.mark.parametrize("content", [b"", b"garbage\n", b'{"row":"started","trial":"t0001","time":"t"}\n', b'{"row":'])
def test_no_header_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(SweepError, match="line 1 is not a header"):
        read_ledger(path)


def test_missing_ledger_says_what_is_missing(tmp_path):
    with pytest.raises(SweepError, match="does not exist: this is not a sweep folder"):
        read_ledger(tmp_path / "trials.jsonl")


def test_create_refuses_an_existing_ledger(path):
    with pytest.raises(SweepError, match="exists"):
        Ledger.create(path, HEADER)


def test_row_that_is_not_written_whole_is_taken_back(path, monkeypatch):
    before = path.read_bytes()
    write = os.write
    with Ledger.open(path) as ledger:
        monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:10]))
        with pytest.raises(
            SweepError,
            match=r"cannot write .*is the disk full\?; the rows already in it are intact; fix the cause, then",
        ):
            ledger.append(Started(trial="t0001", time="t"))
        monkeypatch.undo()
        assert path.read_bytes() == before
        assert ledger.state.events == EVENTS


def test_numbers_keep_their_types(tmp_path):
    values = {"a": True, "b": 1, "c": 1.0, "d": "1", "e": 1e-4}
    row = proposed(1).model_copy(update={"parameters": values})
    with Ledger.create(tmp_path / "l", HEADER) as ledger:
        ledger.append(row)
    read = read_ledger(tmp_path / "l").trials[0].proposed.parameters
    assert {name: (type(value), value) for name, value in read.items()} == {
        name: (type(value), value) for name, value in values.items()
    }
