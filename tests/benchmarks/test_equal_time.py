"""Training for equal CPU time: what has been made is kept, and a run that diverged is one."""

import tempfile

import pytest

from benchmarks.equal_time import in_turns, known_run, measured_once, run_to_its_end
from benchmarks.recipes import configuration
from iafsweep.run_files.run_folder import RunFolder


@pytest.mark.slow
def test_a_run_that_diverges_is_kept_as_such(tmp_path):
    config = configuration("mlp", "today", 0, 2, "training.learning_rate=1e30", quick=True)
    found = run_to_its_end(config, RunFolder(tmp_path / "run"))
    assert str(found).startswith("diverged, 0 epochs, ")
    assert known_run(RunFolder(tmp_path / "run")) == found


def test_a_pace_that_another_process_measured_meanwhile_is_kept(tmp_path):
    kept = tmp_path / "hour.pace"

    def measure():
        kept.write_text("1.5")
        return 1.6

    assert measured_once(kept, measure) == 1.5
    assert measured_once(kept, lambda: pytest.fail("measured again")) == 1.5


@pytest.mark.slow
def test_an_epoch_of_a_wider_model_costs_more_and_nothing_is_left_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    narrow = configuration("mlp", "today", 0, 5, quick=True)
    wide = narrow.with_values({"model.decoder.mlp.hidden_sizes": [1000, 1000]})
    seconds, of_wide = in_turns(narrow, wide)
    assert 0 < seconds < of_wide
    assert not list(tmp_path.iterdir())
