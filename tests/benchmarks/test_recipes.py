"""The benchmark of recipes in miniature: trained once, gone on with where it was stopped, and what its page says."""

import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

import pandas as pd
import pytest
import torch
import typer

from benchmarks import recipes
from benchmarks.recipes import Bench, in_turns, measured_once
from iafsweep.config import load_config
from iafsweep.run_files.run_folder import RunFolder
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


def test_a_run_that_diverges_is_kept_as_such(tmp_path):
    config = recipes._configuration(Bench(tmp_path, "mlp", quick=True), "today", 0, 2, "training.learning_rate=1e30")
    found = recipes.run_to_its_end(config, RunFolder(tmp_path / "run"))
    assert str(found).startswith("diverged, 0 epochs, ")
    assert recipes.known_run(RunFolder(tmp_path / "run")) == found


def test_every_recipe_is_legal_and_differs_from_todays():
    bench = Bench(Path("unused"), "mlp", quick=False)
    today = recipes._configuration(bench, "today", 0, 20)
    for network in recipes.NETWORKS:
        for name in recipes.RECIPES:
            config = recipes._configuration(Bench(Path("unused"), network, quick=False), name, 0, 20)
            assert (config == today) is ((network, name) == ("mlp", "today"))
    with pytest.raises(typer.BadParameter, match="no recipe is called 'sine'"):
        recipes._names("cosine+sine")


@pytest.mark.slow
def test_the_hour_is_scored_once_and_its_figures_are_those_of_the_images(tmp_path, monkeypatch):
    (tmp_path / "hour.pace").write_text("1.5")  # so that today's recipe has three epochs for two
    recipes.hour(tmp_path, quick=True, only="")
    page = tmp_path / "page.md"
    recipes.page(tmp_path, recipes="today", to=page)
    rows = dict(re.findall(r"^\| (best_small|today) \| (.*) \|$", page.read_text(), re.M))
    assert [rows[name].split(" | ")[0] for name in ("best_small", "today")] == ["2", "3"]
    totals = {}
    for name, row in rows.items():
        sampled, corrected = (each["log_likelihood"] for each in per_method(tmp_path / f"hour-{name}"))
        totals[name] = -sampled.mean() + (sampled - corrected).mean()  # all of the few images have both
        assert float(row.split(" | ")[-1].split(" ± ")[0]) == pytest.approx(totals[name], abs=0.006)
    paired = re.search(r"`best_small` minus `today` is (\S+) ± ", page.read_text())
    assert float(paired[1]) == pytest.approx(totals["best_small"] - totals["today"], abs=0.006)

    monkeypatch.setattr(Trainer, "run_epoch", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(recipes, "score_run", lambda *_, **__: pytest.fail("scored again"))
    recipes.hour(tmp_path, quick=True, only="")


def test_a_pace_that_another_process_measured_meanwhile_is_kept(tmp_path):
    kept = tmp_path / "hour.pace"

    def measure():
        kept.write_text("1.5")
        return 1.6

    assert measured_once(kept, measure) == 1.5
    assert measured_once(kept, lambda: pytest.fail("measured again")) == 1.5


@pytest.mark.slow
def test_two_processes_may_take_turns_in_the_same_cache(tmp_path):
    config = recipes._configuration(Bench(tmp_path, "mlp", quick=True), "today", 0, recipes.TURNS)
    with ThreadPoolExecutor(2) as pool:
        pairs = [each.result() for each in [pool.submit(in_turns, config, config, tmp_path) for _ in range(2)]]
    assert min(seconds for pair in pairs for seconds in pair) > 0
    assert not list(tmp_path.iterdir())


def per_method(folder):
    table = pd.read_parquet(folder / "per_image.parquet")
    for method in ("importance_sampling", "hais"):
        part = table[(table["split"] == "test") & (table["method"] == method)]
        yield part.sort_values(["binarisation_seed", "image"]).reset_index()
