"""docs/python.md and what is under examples/ run as they stand there."""

import asyncio
import json
import re
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

import iafsweep
from tests.advice.conftest import cli, finished, training  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
NOTEBOOK = json.loads((ROOT / "examples" / "sweep.ipynb").read_text(encoding="utf-8"))


def run_page():
    names = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    assert len(blocks) >= 9
    for code in blocks:
        exec(compile(code, "python.md", "exec"), names)
    return names


def check(names):
    assert names["config"].model.latent_size == 4
    assert [row.epoch for row in names["run"].metrics] == [1, 2]
    assert {each.settings for each in names["run"].evaluation.estimates} >= {
        "10 samples",
        "20 samples",
        "posterior 5x2x4",
    }
    assert names["nats"].shape == (8,)
    assert [row.status for row in names["sweep"].rows] == ["completed"] * 3
    assert names["sweep"].rows[0].retrained is not None
    assert Path("mine.toml").exists()
    assert names["own"].config.data.source == "file"


def test_every_line_of_the_page(cli, training):  # noqa: F811
    """The sweep's trials are copies of a trained one."""
    check(run_page())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_line_of_the_page_with_ray(ray_cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(run_page())


def test_the_page_names_what_there_is():
    for name in re.findall(r"iafsweep\.([A-Za-z_]+)", PAGE):
        assert name in iafsweep.__all__, name
    for name in re.findall(r"\bsweep\.([a-z]+)\(", PAGE):
        assert callable(getattr(iafsweep.LoadedSweep, name)), name


def cells():
    return ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def run_notebook():
    """Run the cells where an event loop runs, as in a kernel, and show the last value of each."""
    import ast

    names, shown = {}, []

    async def kernel():
        for source in cells():
            tree = ast.parse(source)
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "cell", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
                html = getattr(value, "_repr_html_", lambda value=value: repr(value))
                shown.append(html())

    asyncio.run(kernel())
    return names, shown


def check_notebook(names, shown):
    assert [row.status for row in names["sweep"].rows] == ["completed"] * 2
    assert "2 trials, 2 completed" in shown[2]
    assert "<table" in shown[0]
    assert "posterior 5x2x4" in shown[1]
    assert "<iframe" in shown[-1]


def test_the_cells_of_the_notebook_where_an_event_loop_runs(cli, training):  # noqa: F811
    check_notebook(*run_notebook())
    assert not any(cell.get("outputs") for cell in NOTEBOOK["cells"])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_with_ray(ray_cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_notebook(*run_notebook())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_notebook_in_a_kernel(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(ROOT / "examples" / "sweep.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert "2 trials, 2 completed" in json.dumps(outputs)


def test_the_script(cli, training, monkeypatch, capsys, tmp_path):  # noqa: F811
    for _ in range(2):  # a second time it goes on with what is there
        monkeypatch.setattr(sys, "argv", ["sweep.py", str(tmp_path / "example")])
        runpy.run_path(str(ROOT / "examples" / "sweep.py"), run_name="__main__")
        assert "2 trials, 2 completed" in capsys.readouterr().out
    assert isinstance(iafsweep.load_sweep(tmp_path / "example").leaderboard, pd.DataFrame)
