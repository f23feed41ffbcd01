"""The counts on docs/models.md are the models', and its Python does what it says."""

import re
from pathlib import Path

import pytest
import torch

from iafsweep.config import load_config
from iafsweep.models import build_model

PAGE = (Path(__file__).parent.parent.parent / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ((?:`[^`]+` ?)+) \| ([0-9,]+(?: \| [0-9,]+)+) \|$", PAGE, re.M)


def counts(overrides):
    config = load_config("reference", overrides)
    with torch.device("meta"):
        model = build_model(config.model, config.image_format, seed=0)

    def count(part):
        return 0 if part is None else sum(parameter.numel() for parameter in part.parameters())

    return {part: count(getattr(model, part)) for part in ("encoder", "decoder", "context_map", "flow")} | {
        "all": count(model)
    }


def test_the_tables_are_found():
    assert len(ROWS) == 15


@pytest.mark.parametrize(("name", "cells"), ROWS)
def test_counts(name, cells):
    stated = [int(cell.replace(",", "")) for cell in cells.split(" | ")]
    if "=" in name:
        found = counts(re.findall(r"`([^`]+)`", name))
        assert stated == [found["context_map"], found["flow"], found["all"]]
    else:
        kind = name.strip("`")
        found = counts([f"model.encoder.kind={kind}", f"model.decoder.kind={kind}"])
        assert stated == [found[part] for part in ("encoder", "decoder", "context_map", "flow", "all")]


def test_the_python_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quick_model.toml").write_text(
        "[model]\nlatent_size = 4\nencoder = { kind = 'mlp', mlp = { hidden_sizes = [8] } }\n"
        "decoder = { kind = 'mlp', mlp = { hidden_sizes = [8] } }\nflow = { depth = 2, made = { width = 8 } }\n"
    )
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    names = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(compile(code, "models.md", "exec"), names)
    assert names["z"].shape == (100, 5, 4)
    assert names["log_likelihood"].shape == (5,)
    assert (names["log_likelihood"] < 0).all()
    assert names["log_likelihood"].isfinite().all()
    assert (names["log_likelihood"] >= names["log_weight"].mean(0)).all()  # the bound is below the estimate
