"""What earlier versions wrote, read with every command and function that changes nothing: the figures of then."""

import csv
import hashlib
import json

import pytest
from rich.console import Console

from iafsweep import load_run, load_sweep
from iafsweep.cli.commands.reading.compare import compare_trials
from iafsweep.cli.commands.reading.export import export_leaderboard
from iafsweep.cli.commands.reading.export_model import export_trial
from iafsweep.cli.commands.reading.status import show_status
from iafsweep.report import write_report
from iafsweep.search_space.files import read_stored_space
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep, space_hash
from tests.compatibility import folders

SWEEPS = [(version, name) for version in folders.VERSIONS for name in folders.SWEEPS]
RUNS = [(version, name) for version in folders.VERSIONS for name in folders.RUNS]


def contains(now, then):
    """Whether ``now`` says all that ``then`` said; what later versions add is not looked at."""
    if isinstance(then, dict):
        assert isinstance(now, dict)
        for key in then:
            contains(now[key], then[key])
    elif isinstance(then, list):
        assert len(now) == len(then)
        for one, other in zip(now, then, strict=True):
            contains(one, other)
    else:
        assert now == then


@pytest.fixture
def console():
    return Console(record=True, width=200, highlight=False)


@pytest.mark.parametrize(("version", "name"), SWEEPS)
def test_a_sweep_reads_as_it_did(version, name, tmp_path, console):
    then = folders.recorded(version)
    path = folders.unpack(version, name, tmp_path)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    contains(folders.sweep_figures(path), then["sweeps"][name])
    show_status(path, console)
    assert {file: file.read_bytes() for file in before} == before

    export_leaderboard(path, None, console)
    board = list(csv.DictReader(SweepFolder(path).leaderboard_csv.read_text().splitlines()))
    contains(board, list(csv.DictReader(then["tables"][name].splitlines())))
    write_report(read_sweep(SweepFolder(path)), ["run_sweep.py", "report", name])
    assert SweepFolder(path).report.stat().st_size > 40_000
    said = console.export_text()
    assert "damaged" not in said
    assert "left out" not in said


@pytest.mark.parametrize("version", folders.VERSIONS)
def test_compare_and_export_model(version, tmp_path, console):
    path = folders.unpack(version, "finished", tmp_path)
    compare_trials(path, [], tmp_path / "compare.csv", console)
    now, then = (tmp_path / "compare.csv").read_text(), folders.recorded(version)["compare"]
    for row, before in zip(csv.DictReader(now.splitlines()), csv.DictReader(then.splitlines()), strict=True):
        for name, value in before.items():  # paired differences are computed anew; the figures they are of are read
            computed = name in ("difference", "standard_error")
            assert float(row[name]) == pytest.approx(float(value), rel=1e-12) if computed else row[name] == value
    export_trial(path, None, tmp_path / "model", console)
    best, exported = load_sweep(path).best("cpu"), load_run(tmp_path / "model", "cpu")
    assert exported.config == best.config
    with pytest.warns(UserWarning, match="the training images are unknown"):
        x = best.images("test", 5)
    assert exported.log_likelihood(x, samples=3).tolist() == best.log_likelihood(x, samples=3).tolist()


@pytest.mark.parametrize(("version", "name"), RUNS)
def test_a_run_reads_as_it_did(version, name, tmp_path):
    then = folders.recorded(version)["runs"][name]
    now = folders.run_figures(folders.unpack(version, name, tmp_path))
    assert now.pop("log_likelihood") == pytest.approx(then.pop("log_likelihood"), abs=1e-3)
    contains(now, then)


@pytest.mark.parametrize("version", folders.VERSIONS)
def test_spaces_keep_their_hashes_and_their_proposals_with_keys_and_seeds(version, tmp_path):
    for name, then in folders.recorded(version)["spaces"].items():
        if name in ("mnist/random", "mnist/quasi_random"):  # reading so large a space takes a second
            continue
        (tmp_path / "sweep.toml").write_text(then["stored"])
        space = read_stored_space(tmp_path / "sweep.toml")
        assert space_hash(space) == then["hash"], name
        assert folders.proposals(space) == then["proposals"], name


def test_a_field_that_is_not_in_a_file_means_what_it_meant():
    """Whoever gives a later field another default declares the old one beside it (CONTRIBUTING.md)."""
    for version in folders.VERSIONS:
        contains(folders.meanings(), folders.recorded(version).get("meanings", {}))


def test_the_defaults_of_format_1_stay():
    first = json.loads((folders.ROOT / "iafsweep" / "config" / "format_1.json").read_text())
    assert hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()[:16] == "012916b86793c37b"
