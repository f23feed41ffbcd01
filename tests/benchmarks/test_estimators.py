import json
import re
from pathlib import Path

import pytest
import torch
import typer

from benchmarks import estimators
from benchmarks.estimator_figures import Pool, row
from benchmarks.estimator_page import TABLES, fill_page
from iafsweep.cli.single import train_and_score
from iafsweep.config import load_config
from iafsweep.data_root import default_data_root
from iafsweep.training import RunFolder

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
def test_the_script_makes_page_and_plot_and_goes_on_where_it_was_stopped(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the plot needs the extra `docs`")
    estimators.main(tmp_path, quick=True)
    first = (tmp_path / "estimators.md").read_text()
    assert (tmp_path / "figures" / "estimators.png").stat().st_size > 1000
    assert not re.search(r"-->\s*<!-- end", first), "a table is empty"

    pieces = sorted((tmp_path / "quick" / "pieces").iterdir())
    measured = re.findall(r" run \d+: ", capsys.readouterr().out)
    assert len(measured) == len(pieces)
    pieces[0].unlink()
    estimators.main(tmp_path, quick=True)
    assert len(re.findall(r" run \d+: ", capsys.readouterr().out)) == 1
    second = (tmp_path / "estimators.md").read_text()
    assert without_times(second) == without_times(first)


def test_a_model_of_another_configuration_is_never_taken_for_the_one_asked_for(tmp_path):
    small = load_config(str(estimators.HERE / "mnist_mlp.toml"), list(estimators.QUICK.overrides))
    folder = RunFolder(tmp_path / "model")
    folder.create(small)
    folder.evaluation.write_text("{}")
    estimators._train(small, folder, tmp_path)
    with pytest.raises(typer.BadParameter, match="is not the configuration of this script"):
        estimators.measure(estimators.FULL, tmp_path, tmp_path)


def without_times(page):
    """The page without tables that show times or choose by them."""
    return re.sub(r"<!-- begin (methods|sandwiches|equal_gap) -->.*?<!-- end \1 -->", "", page, flags=re.DOTALL)


def test_the_page_shows_the_figures_beside_it():
    results = json.loads((DOCS / "figures" / estimators.RESULTS).read_text())
    page = (DOCS / "estimators.md").read_text()
    assert fill_page(page, results) == page


def test_a_page_without_a_table_is_refused():
    with pytest.raises(ValueError, match="must contain each of"):
        fill_page(f"<!-- begin {next(iter(TABLES))} -->", {})


def test_gaps_are_of_disjoint_groups_and_their_error_falls_with_the_runs():
    truth = torch.tensor([-90.0, -100.0, -110.0], dtype=torch.float64)
    noise = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Log-normal weights with mean p(x) exactly: log w = log p - v/2 + sqrt(v) noise.
    pool = Pool("posterior 2x1", truth - 0.1 + 0.2**0.5 * noise, 2, 0.5, None, None, (1, 4))
    single, several = row(pool, 1, truth), row(pool, 4, truth)
    assert single["runs"] == 4000
    assert several["runs"] == 1000
    assert (several["gradients"], several["cpu_seconds"]) == (8, 2.0)
    assert single["gap"] == pytest.approx(0.1, abs=4 * single["gap_error"])
    # Of a mean of 4 the variance is (e^v - 1) / 4; its logarithm is low by half of it.
    assert several["gap"] == pytest.approx((0.2 + 0.2**2 / 2) / 8, abs=4 * several["gap_error"] + 1e-3)
    assert single["gap_error"] == pytest.approx((0.2 / 3 / 4000) ** 0.5, rel=0.1)
    assert single["gap_of_mean_log_weight"] == pytest.approx(single["gap"], abs=1e-12)


@pytest.mark.slow
@pytest.mark.full_mnist
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("_threads")
def test_the_model_of_the_page_has_a_test_bound_of_at_most_96_nats(tmp_path):
    from rich.console import Console

    overrides = ["evaluation.importance_sampling.samples=1", "evaluation.importance_sampling.images=1"]
    config = load_config(str(Path(estimators.__file__).parent / "mnist_mlp.toml"), overrides)
    folder = RunFolder(tmp_path / "run")
    code = train_and_score(
        config,
        folder,
        device="cpu",
        threads=None,
        root=default_data_root(),
        resume=False,
        evaluate_only=False,
        console=Console(quiet=True),
    )
    assert code == 0
    (test,) = (
        each for each in folder.read_evaluation().estimates if each.method == "negative_elbo" and each.split == "test"
    )
    assert test.images == 10_000
    assert test.nll <= 96
