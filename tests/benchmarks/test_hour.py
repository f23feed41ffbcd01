"""The benchmark of the hour in miniature: made once, and its page has the figures of its images."""

import re

import pandas as pd
import pytest
import torch
import typer

from benchmarks import hour, nll
from iafsweep.training import Trainer


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_another_model_is_refused_before_anything_is_trained(tmp_path):
    with pytest.raises(typer.BadParameter, match="no model is called 'yesterday'; known: best_small; "):
        hour.main(tmp_path / "cache", only="today; yesterday")
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_models_are_made_once_and_the_page_has_their_figures(tmp_path, monkeypatch):
    costs = {hour.HEAD: "1.0", hour.RECIPE: "1.0", hour.BASELINE: "0.67"}  # so many epochs, whatever the machine
    for name, cost in costs.items():
        hour._folder(tmp_path, name).path.with_suffix(".pace").write_text(cost)
    page = tmp_path / "page.md"
    settings = {"epochs": 2, "quick": True, "to": page}
    hour.main(tmp_path, only=";".join(costs), **settings)
    assert not page.exists()
    hour.main(tmp_path, **settings)
    text = page.read_text()
    rows = {
        name: next(line.split(" | ") for line in text.splitlines() if line.startswith(f"| {name} | "))
        for name in hour.MODELS
    }
    assert [row[1] for row in rows.values()] == ["2", "2", "2", "3"]
    nlls = {}
    for name, row in rows.items():
        each = pd.read_parquet(hour._folder(tmp_path, name).per_image)
        hais = each[(each["split"] == "test") & (each["method"] == "hais")]["log_likelihood"]
        nlls[name] = -hais.mean()  # all of the few images have all figures
        assert row[-2].startswith(f"**{nlls[name]:.2f} ± ")
        assert re.match(r"KL .*% of the bound", row[4])
    assert f"- best_small minus today: {nlls['best_small'] - nlls['today']:.2f} ± " in text

    monkeypatch.setattr(Trainer, "run_epoch", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(nll, "score", lambda *_, **__: pytest.fail("scored again"))
    hour.main(tmp_path, **settings)
    assert page.read_text() == text
