import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "iafsweep"
GROUND = {"errors", "records", "seeds", "atomic", "data_root", "interrupts", "limits", "texts", "version"}
FLOORS = ["config", "data", "models", "training", "evaluation", "sweep", "leaderboard", "report", "cli"]
# Imports go down; besides, each of these may know only what stands here.
ONLY = {
    "leaderboard": GROUND,
    "models": GROUND | {"config"},
    "data": GROUND | {"config"},
    "config": GROUND,
}
ALGORITHMS = {"annealing", "bidirectional", "bridge", "diagnostics", "hmc", "importance", "log_weights", "noise",
              "pareto", "pilot", "schedules", "until_error"}  # fmt: skip


def floor_of(module):
    """Name of the floor a module such as ``iafsweep.data.mnist`` is on."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports(file):
    """Every module of the package that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "iafsweep":
                yield from (f"iafsweep.{alias.name}" for alias in node.names)


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_folder_is_a_known_floor():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders - GROUND == set(FLOORS)
    assert folders | {path.stem for path in PACKAGE.glob("*.py")} >= GROUND


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file):
    here = file.relative_to(PACKAGE).parts[0]
    if here == "__init__.py":
        return
    for module in imports(file):
        if not module.startswith("iafsweep."):
            continue
        there = floor_of(module)
        if here.removesuffix(".py") in GROUND:
            assert there in GROUND, f"{file.name} is on the ground and imports {module}"
        elif here in FLOORS and there in FLOORS:
            assert FLOORS.index(there) <= FLOORS.index(here), f"{file} imports {module}, which is above it"
        if there == "loaded_sweep":
            assert here == "cli", f"{file} imports {module}, which is above it"
        if here in ONLY:
            assert there in ONLY[here] | {here}, f"{file} imports {module}"


@pytest.mark.parametrize("package", ["cli", "config", "data", "leaderboard", "models", "records", "report", "sweep"])
def test_a_package_whose_docstring_is_a_map_names_all_its_modules(package):
    folder = PACKAGE / package
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    named = set(re.findall(r"``(\w+)/?``", text))
    assert modules - {"__init__"} <= named, f"its docstring does not name {modules - {'__init__'} - named}"


def test_no_files_import_each_other_in_a_circle():
    modules = {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in FILES}
    # A package's __init__ hands names on; who imports it imports them from below.
    plain = {module: set(imports(file)) & modules.keys() for module, file in modules.items()}
    graphlib.TopologicalSorter(plain).prepare()  # raises CycleError, with the circle in it


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_the_sweep_knows_ray(file):
    if file.relative_to(PACKAGE).parts[0] != "sweep":
        assert not [module for module in imports(file) if module.split(".")[0] == "ray"]


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_estimators_know_no_network_and_no_configuration(name):
    known = set(imports(PACKAGE / "evaluation" / f"{name}.py"))
    assert not {module for module in known if module.startswith("iafsweep.") and floor_of(module) != "evaluation"}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import iafsweep", ["ray", "torchvision", "torch", "pandas", "pydantic"]),
        ("import iafsweep; iafsweep.load_sweep", ["ray", "torchvision"]),
        ("import iafsweep.cli.entry", ["typer", "pydantic"]),
        ("import iafsweep; iafsweep.load_run, iafsweep.build_model, iafsweep.estimators", ["ray", "torchvision"]),
        ("import iafsweep.cli.single", ["ray", "torchvision"]),
        ("import iafsweep.cli.train_and_score", ["ray", "torchvision"]),
        ("import iafsweep.cli.sweep", ["ray", "torchvision"]),
    ],
)
def test_what_starts_fast_imports_little(statement, absent):
    check = f"{statement}; import sys; print([name for name in {absent!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_command_line_helps_without_ray_and_torchvision():
    check = """
import runpy, sys
sys.argv = ['run_single.py', '--help']
try:
    runpy.run_path('run_single.py', run_name='__main__')
except SystemExit as end:
    assert end.code == 0
assert not {'ray', 'torchvision'} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], cwd=PACKAGE.parent, capture_output=True, check=True)
