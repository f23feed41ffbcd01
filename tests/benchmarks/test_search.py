"""The comparison of searches in miniature."""

import json

import pytest
import torch

from benchmarks.search import record
from iafsweep.training import Trainer


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trained(cache, part="1/1"):
    record.train("mnist", cache, part=part, quick=True)
    return (cache / "mnist.jsonl").read_text()


@pytest.mark.slow
def test_a_space_is_recorded_once_in_parts_and_kept_in_order(tmp_path, monkeypatch):
    half = trained(tmp_path, part="2/2")
    (tmp_path / "mnist.jsonl").write_text(half + '{"number": 1, "se')  # cut off; the next row stands right behind it
    trained(tmp_path, part="1/2")
    text = trained(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run_epoch", lambda *_: pytest.fail("trained again"))
        assert trained(tmp_path) == text

    record.keep("mnist", tmp_path, to=tmp_path / "tables", quick=True)
    head, *rows = map(json.loads, (tmp_path / "tables" / "mnist.jsonl").read_text().splitlines())
    assert (head["configurations"], head["missing"]) == (3, 0)
    assert [(row["number"], row["seed"]) for row in rows] == [(1, 0), (1, 1), (2, 0), (3, 0)]
    assert rows[0]["parameters"] == rows[1]["parameters"]
    assert rows[0]["bounds"] != rows[1]["bounds"]
    assert all(len(row["bounds"]) == len(row["seconds"]) == 5 for row in rows)
    assert not [path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith("mnist")]
