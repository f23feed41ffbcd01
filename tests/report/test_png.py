"""The figures as PNG files, by matplotlib."""

import sys

import pytest
from PIL import Image

from iafsweep.errors import UserError
from iafsweep.report import write_png
from iafsweep.report.findings import read_findings
from iafsweep.sweep.storage.stored_sweep import read_sweep
from tests.report.hostile import MARKUP, ODD
from tests.report.sweeps import SweepMaker


def test_every_figure_that_shows_something_is_a_file(full):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")
    found = {figure.name for figure in read_findings(read_sweep(full)).figures if not figure.empty}
    written = write_png(read_sweep(full))
    assert {path.stem for path in written} == found
    assert len(found) == 11
    for path in written:
        with Image.open(path) as image:
            assert image.width > 500
            colours = image.convert("RGB").getcolors(2**24)
        assert len(colours) > 20, path  # more than an empty frame
    assert {path.name for path in full.figures.iterdir()} == {path.name for path in written}


def test_an_empty_sweep_has_no_figures(tmp_path):
    assert write_png(read_sweep(SweepMaker(tmp_path / "s").folder)) == []


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plots`)")
    maker = SweepMaker(tmp_path / "s").began()
    for text in (*MARKUP, *ODD):
        values = {"model.encoder.kind": text, "model.flow.depth": 0, "training.learning_rate": 1e-3}
        maker.add(parameters=values)
    written = write_png(read_sweep(maker.folder))
    assert all(path.parent == maker.folder.figures for path in written)


def test_without_matplotlib_it_says_what_to_install(full, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"iafsweep\[plots\]"):
        write_png(read_sweep(full))
