"""docs/configuration.md is what its script makes of the types, and its example is a configuration."""

import re

import pytest

from iafsweep.config import RunConfig, field_paths, load_config
from iafsweep.config.sweep import SweepConfig
from tools import configuration_page


def test_the_page_is_up_to_date():
    written = configuration_page.PAGE.read_text(encoding="utf-8")
    assert written == configuration_page.page(), "run: python -m tools.configuration_page"


def test_every_field_is_on_the_page():
    page = configuration_page.page()
    for path in [*field_paths(RunConfig), *(f"sweep.{name}" for name in SweepConfig.model_fields)]:
        table, _, name = path.rpartition(".")
        heading = f"## `[{table}]`" if table else "## Top level"
        section = page.split(f"{heading}\n")[1].split("\n## ")[0]
        row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 6
        assert all(cells)


def test_a_number_without_a_unit_and_a_field_without_a_description_are_errors(monkeypatch):
    monkeypatch.delitem(configuration_page.UNITS, "training.epochs")
    with pytest.raises(ValueError, match="training.epochs is a number without a unit"):
        configuration_page.page()


def test_no_unit_is_left_over():
    known = {*field_paths(RunConfig), *(f"sweep.{name}" for name in SweepConfig.model_fields)}
    assert set(configuration_page.UNITS) <= known


def test_the_example_is_a_configuration(tmp_path):
    (block,) = re.findall(r"^```toml\n(.*?)^```", configuration_page.HEAD, re.M | re.S)
    (tmp_path / "small.toml").write_text(block)
    config = load_config(tmp_path / "small.toml", ["model.latent_size=16"])
    assert (config.model.encoder.kind, config.model.latent_size, config.training.batch_size) == ("mlp", 16, 200)
