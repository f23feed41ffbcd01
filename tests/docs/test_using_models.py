"""The Python of docs/using_models.md runs, on a run and a sweep under the names it uses."""

import re
from pathlib import Path

import pandas as pd

from tests.finished import finish_run, finish_sweep

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_the_python_of_the_page(tmp_path, monkeypatch):
    finish_run(tmp_path / "runs" / "best")
    finish_sweep(tmp_path / "runs" / "quick-1")
    monkeypatch.chdir(tmp_path)
    page = (DOCS / "using_models.md").read_text(encoding="utf-8")
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        exec(compile(code, "using_models.md", "exec"), names)
    assert names["new"].shape == (64, 1, 28, 28)
    assert names["again"].shape == names["x"].shape == (10, 1, 28, 28)
    assert names["nats"].shape == (10,)
    assert isinstance(names["board"], pd.DataFrame)
    files = {path.name for path in names["folder"].iterdir()}
    assert files == set(re.findall(r"^\| `([a-zA-Z]+\.[a-z]+)` \|", page, re.M))


def test_the_map_names_every_page():
    named = set(re.findall(r"^\| \[([a-z_]+\.md)\]", (DOCS / "README.md").read_text(encoding="utf-8"), re.M))
    pages = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert named == pages, f"docs/README.md needs a row for each of {sorted(named ^ pages)}"


def test_no_link_between_pages_is_broken():
    root = DOCS.parent
    for page in [*DOCS.glob("*.md"), root / "README.md", root / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
