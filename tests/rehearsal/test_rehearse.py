"""`run_sweep.py rehearse` and `iafsweep.rehearse`: what is said, what is refused, and that nothing is written."""

from dataclasses import replace

import numpy as np
import pytest

import iafsweep
from iafsweep.config import RunConfig
from iafsweep.config.files import with_values
from iafsweep.errors import ConfigError, SweepError
from iafsweep.rehearsal.comparison import Search, Step, check_searches
from iafsweep.rehearsal.curves import check_curves, read_curves
from iafsweep.search_space.distributions import Choice, FloatRange, IntRange
from iafsweep.search_space.files import dump_space
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.rehearsal.recorded import EPOCHS, record_sweep, recorded, searched


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    return record_sweep(tmp_path_factory.mktemp("earlier") / "s", status=lambda n: "completed" if n % 4 else "stopped")


@pytest.fixture
def run_sweep(run_sweep, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return run_sweep


def files(folder):
    return {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_a_table_says_what_each_would_have_found_for_what(run_sweep, earlier):
    before = files(earlier)
    words = ("--curves", earlier.path, "--workers", 4, "--seeds", 3, "--trials", 12)
    code, out, err = run_sweep("rehearse", earlier.space, *words)
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines() if not line.startswith(("Bound", "To 1.0", "From"))) <= 80
    rows = [line.split() for line in out.splitlines() if line.split()[:1] in (["random"], ["auto"])]
    assert sorted(row[:2] for row in rows) == [[a, b] for a in ("auto", "random") for b in ("asha", "none")]
    assert [float(row[2]) for row in rows] == sorted(float(row[2]) for row in rows)
    epochs = {tuple(row[:2]): int(row[7].replace(",", "")) for row in rows}
    assert epochs["random", "none"] == epochs["auto", "none"] == 12 * EPOCHS > 2 * epochs["random", "asha"]
    assert "From the curves of 40 trials." in out
    assert "assumed, since no configuration was trained twice" in " ".join(out.split())
    assert files(earlier) == before


def test_the_function_says_the_same_and_prints_nothing(earlier, capsys):
    ask = {"workers": 4, "samplers": ["quasi_random"], "schedulers": ["none", "asha"], "seeds": 2, "trials": 10}
    found = iafsweep.rehearse(earlier.space, earlier.path, **ask)
    assert capsys.readouterr() == ("", "")
    assert [each.scheduler for each in found.searches] == ["none", "asha"]
    assert list(found.table["sampler"]) == ["quasi_random", "quasi_random"]
    assert (found.table["bound"] >= found.best).all()
    assert found.table["hours"][1] < found.table["hours"][0]
    again = iafsweep.rehearse(earlier.space, earlier.path, **ask)
    assert again.searches == found.searches


def test_costs_are_those_until_a_good_trial_was_chosen_for_good():
    fickle = (Step(3600.0, 90.0), Step(7200.0, 95.0), Step(10800.0, 90.2))
    steady, never = (Step(1800.0, 92.0), Step(5400.0, 90.4)), (Step(60.0, 99.0),)
    found = Search("tpe", "asha", (fickle, steady, never), (1.0,) * 3, (1,) * 3)
    assert found.hours_to(91.0) == 3.0
    assert found.hours_to(92.0) == 3.0
    assert found.hours_to(95.0) == 1.0
    assert np.isinf(found.hours_to(90.3))
    assert found.bounds == (90.2, 90.4, 99.0)


def changed(space, path, among):
    parameters = tuple(replace(each, range=among) if each.path == path else each for each in space.parameters)
    return replace(space, parameters=parameters)


def with_field(space, path, value):
    return replace(space, base=RunConfig.model_validate(with_values(space.base.model_dump(), {path: value})))


SPACE = searched()
RATE, DEPTH, WIDTH = "training.learning_rate", "model.flow.depth", "model.flow.made.width"


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (replace(SPACE, parameters=SPACE.parameters[:2]), "training.learning_rate is searched in old but not here"),
        (changed(SPACE, RATE, FloatRange(1e-3, 2e-2, None, True)), "training.learning_rate = 0.02 was not searched in"),
        (changed(SPACE, DEPTH, IntRange(0, 4)), "model.flow.depth = 4 was not searched in old, where it is 0 to 3"),
        (
            changed(SPACE, WIDTH, Choice((4, 16))),
            "model.flow.made.width = 16 was not searched in old, where it is one of 4, 8",
        ),
        (with_field(SPACE, "training.batch_size", 25), "training.batch_size is 25 here but 50 in old"),
        (with_field(SPACE, "model.encoder.mlp.hidden_sizes", (8,)), "model.encoder.mlp.hidden_sizes is"),
        (with_field(SPACE, "training.epochs", 9), "training.epochs is 9 here but 27 in old"),
    ],
)
def test_curves_that_say_nothing_of_a_space_are_refused(space, said):
    with pytest.raises(SweepError, match=said):
        check_curves(space, SPACE, recorded(20), "old")


def test_a_narrower_space_of_the_same_parameters_is_not():
    narrow = changed(changed(SPACE, RATE, FloatRange(2e-3, 5e-3, None, True)), DEPTH, IntRange(1, 2))
    check_curves(with_field(narrow, "title", "another question"), SPACE, recorded(20), "old")


def test_too_few_curves_and_what_has_none(run_sweep, earlier, tmp_path):
    few = record_sweep(tmp_path / "few", 13, status=lambda n: "stopped" if n > 11 else "completed")
    code, _, err = run_sweep("rehearse", few.space, "--curves", few.path)
    assert (
        code,
        "has 11 completed trials with metrics, but a rehearsal needs at least 12; train more" in " ".join(err.split()),
    ) == (2, True)
    (few.trial("t0001") / "metrics.jsonl").unlink()
    assert len(read_curves(read_sweep(few))) == 12
    for words, said in (
        (("--curves", tmp_path), "is not a sweep folder"),
        (("--curves", earlier.path, "--schedulers", "pbt", "--samplers", "random"), "cannot be rehearsed"),
        (("--curves", earlier.path, "--samplers", "tpo"), "tpe"),
        (("--curves", earlier.path, "--samplers", "grid"), "grid needs a finite space"),
        (("--curves", earlier.path, "--samplers", ","), "at least one worker, seed, sampler"),
    ):
        code, out, err = run_sweep("rehearse", earlier.space, *words)
        assert (code, out) == (2, "")
        assert said in " ".join(err.split())


def test_rungs_after_the_last_epoch_are_refused():
    check_searches([searched(sampler="tpe", scheduler="asha", grace_epochs=3)])
    with pytest.raises(ConfigError, match="must hold with a scheduler, got 0 < 27 < 27"):
        check_searches([searched(sampler="tpe", scheduler="asha", grace_epochs=27)])


def test_a_space_in_python_will_do(earlier, tmp_path):
    (tmp_path / "space.toml").write_text(dump_space(searched(trials=4)))
    found = iafsweep.rehearse(tmp_path / "space.toml", earlier.path, samplers=["random"], schedulers=["none"], seeds=1)
    assert found.trials == 4
