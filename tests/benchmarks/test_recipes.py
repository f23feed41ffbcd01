"""The benchmark of recipes in miniature: trained once, gone on with where it was stopped, and what its page says."""

import json
import math
import re
from statistics import fmean

import pytest
import torch
import typer

from benchmarks import recipes
from benchmarks.nll import Figures
from benchmarks.recipes import Bench
from iafsweep.config import load_config
from iafsweep.training import Trainer

NAMES = "today;iwae at the end;cosine+dropout"


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def trained(cache, seconds=0.3):
    cache.mkdir(exist_ok=True)
    for name in NAMES.split(";"):  # so few epochs, whatever the machine
        (cache / f"{Bench(cache, 'mlp', True).name(name, 0)}.pace").write_text("0.1")
    recipes.train(cache, recipes=NAMES, seeds=2, seconds=seconds, network="mlp", hopeless=1.5, quick=True)
    return {path.name: json.loads(path.read_text()) for path in cache.glob("*.json")}


@pytest.mark.slow
def test_runs_are_made_once_go_on_and_are_compared_by_seed(tmp_path, monkeypatch):
    found = trained(tmp_path)
    assert sorted(found) == sorted(
        f"mlp-{name}-{seed}.json" for name in ("today", "iwae_at_the_end", "cosine+dropout") for seed in (0, 1)
    )
    assert {run["epochs"] for run in found.values()} == {3}
    cosine = load_config(str(tmp_path / "mlp-cosine+dropout-1" / "config.toml"))
    assert (cosine.training.learning_rate_schedule, cosine.model.decoder.dropout) == ("cosine", 0.1)
    assert load_config(str(tmp_path / "mlp-iwae_at_the_end-1" / "config.toml")).training.objective_from_epoch == 2

    (tmp_path / "mlp-today-1.json").unlink()  # ended after its last checkpoint
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "run_epoch", lambda *_: pytest.fail("trained again"))
        assert trained(tmp_path) == found
        recipes.train(tmp_path, recipes=NAMES, seeds=3, seconds=0.3, network="mlp", hopeless=-1e9, quick=True)

    recipes.page(tmp_path, recipes=NAMES, to=tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    bounds = {
        name: [found[f"mlp-{name}-{seed}.json"]["bound"] for seed in (0, 1)] for name in ("today", "cosine+dropout")
    }
    row = re.search(r"^\| cosine\+dropout \| 2 \| 3 \| \d+ \| (\S+) \| (\S+) ± (\S+) \| - \| - \| - \|$", page, re.M)
    differences = [one - other for one, other in zip(bounds["cosine+dropout"], bounds["today"], strict=True)]
    assert float(row[1]) == pytest.approx(fmean(bounds["cosine+dropout"]), abs=0.006)
    assert float(row[2]) == pytest.approx(fmean(differences), abs=0.006)
    assert float(row[3]) == pytest.approx(abs(differences[0] - differences[1]) / 2, abs=0.006)

    recipes.score(tmp_path, recipes="today;cosine+dropout", network="mlp", quick=True)
    recipes.page(tmp_path, recipes=NAMES, to=tmp_path / "page.md")
    rows = dict(re.findall(r"^\| (today|cosine\+dropout) \| (.*) \|$", (tmp_path / "page.md").read_text(), re.M))
    bench = Bench(tmp_path, "mlp", quick=True)
    best, today = (Figures.of(bench.scored(name)) for name in ("cosine+dropout", "today"))
    assert rows["today"].split(" | ")[-3:-1] == [str(today), "-"]
    assert rows["cosine+dropout"].split(" | ")[-3:-1] == [str(best), str(best - today)]


def test_a_recipe_that_diverged_is_said_to_have_and_has_no_figures(tmp_path):
    for name, bound in {
        "today-0": 95.0,
        "today-1": 96.0,
        "no_norm-0": math.inf,
        "clip-0": 94.0,
        "clip-1": 96.0,
    }.items():
        (tmp_path / f"mlp-{name}.json").write_text(json.dumps({"bound": bound, "epochs": 6, "seconds": 60.0}))
    recipes.page(tmp_path, recipes="today;no norm;clip", to=tmp_path / "page.md")
    rows = dict(re.findall(r"^\| (today|no norm|clip) \| (.*) \|$", (tmp_path / "page.md").read_text(), re.M))
    assert rows == {
        "today": "2 | 6 | 60 | 95.50 | - | - | - | -",
        "no norm": "1 | 6 | 60 | 1 of 1 diverged | - | - | - | -",
        "clip": "2 | 6 | 60 | 95.00 | -0.50 ± 0.50 | - | - | -",
    }
    assert Bench(tmp_path, "mlp", quick=False).best("no norm") is None


def test_every_recipe_is_legal_and_differs_from_todays():
    today = recipes.configuration("mlp", "today", 0, 20)
    for network in recipes.NETWORKS:
        for name in recipes.RECIPES:
            config = recipes.configuration(network, name, 0, 20)
            assert (config == today) is ((network, name) == ("mlp", "today"))
    with pytest.raises(typer.BadParameter, match="no recipe is called 'sine'"):
        recipes._names("cosine+sine")
