import ast
import graphlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from iafsweep.run_files.run_folder import RunFolder
from tests.finished import finish_sweep

PACKAGE = Path(__file__).parent.parent / "iafsweep"
GROUND = set("errors records seeds atomic data_root limits locks shown_command signals texts version".split())
FLOORS = [
    *(
        "config",
        "run_files",
        "search_space",
        "data",
        "models",
        "training",
        "evaluation",
        "sweep",
        "rehearsal",
        "results",
    ),
    *("report", "api", "tune", "cli"),
]
BESIDE = {"estimators", "leaderboard"}
# Imports go down; besides, each of these may know only what stands here.
ONLY = {
    "estimators": set(),
    "leaderboard": GROUND,
    "config": GROUND,
    "run_files": GROUND | {"config"},
    "search_space": GROUND | {"config"},
    "data": GROUND | {"config"},
    "models": GROUND | {"config"},
}
# The rooms of the sweep: each knows those named before it; the three in the middle do not know each other.
ROOMS = ["storage", "samplers", "schedulers", "cluster", "scoring", "callbacks", "tune"]
MIDDLE = {"samplers", "schedulers", "cluster"}
# Inside the command line: each knows those named before it.
CLI = [
    {"options", "errors", "console", "tables"},
    {"tracking", "sweep_output"},
    {"commands"},
    {"single", "sweep"},
    {"entry"},
]
RAY = {"sweep/cluster", "sweep/tune", "tune"}
OPTUNA = {"sweep/samplers", "results/optuna_journal.py", "report/importance.py"}
LARGEST = {"models": 20, "training": 20, "report": 20}


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
    assert folders - GROUND == set(FLOORS) | BESIDE
    assert folders | {path.stem for path in PACKAGE.glob("*.py")} >= GROUND
    assert {path.parent.name for path in (PACKAGE / "sweep").glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file):
    here = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here == "__init__":
        return
    for module in imports(file):
        if not module.startswith("iafsweep."):
            continue
        there = floor_of(module)
        if here in GROUND:
            assert there in GROUND, f"{file.name} is on the ground and imports {module}"
        elif here in FLOORS and there in FLOORS:
            assert FLOORS.index(there) <= FLOORS.index(here), f"{file} imports {module}, which is above it"
        if here in ONLY:
            assert there in ONLY[here] | {here}, f"{file} imports {module}"


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "sweep").rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_rooms_of_the_sweep_know_those_below(file):
    room = file.relative_to(PACKAGE / "sweep").parts[0]
    if room not in ROOMS:
        return
    below = set(ROOMS[: ROOMS.index(room) + 1])
    if room in MIDDLE:
        below -= MIDDLE - {room}
    for module in imports(file):
        if module.startswith("iafsweep.sweep."):
            assert module.split(".")[2] in below, f"{file} imports {module}"


@pytest.mark.parametrize(
    "file", sorted((PACKAGE / "cli").rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE))
)
def test_rooms_of_the_command_line_know_those_below(file):
    room = file.relative_to(PACKAGE / "cli").parts[0].removesuffix(".py")
    if room == "__init__":
        return
    floor = next(floor for floor, rooms in enumerate(CLI) if room in rooms)
    below = set().union(*CLI[: floor + 1])
    for module in imports(file):
        if module.startswith("iafsweep.cli."):
            there = module.split(".")[2]
            assert there in below, f"{file} imports {module}"
            assert room != "sweep" or there != "single", f"{file} imports {module}"


MAPS = sorted(path.parent for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE)


@pytest.mark.parametrize("folder", MAPS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_the_docstring_of_a_package_names_all_its_modules(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    named = set(re.findall(r"``(\w+)/?``", text))
    assert modules - {"__init__"} <= named, f"its docstring does not name {modules - {'__init__'} - named}"


@pytest.mark.parametrize("folder", MAPS, ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_no_folder_holds_more_than_one_finds_one_s_way_in(folder):
    assert len(list(folder.glob("*.py"))) - 1 <= LARGEST.get(folder.name, 13)


def test_no_files_import_each_other_in_a_circle():
    modules = {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in FILES}
    # A package's __init__ hands names on; who imports it imports them from below.
    plain = {module: set(imports(file)) & modules.keys() for module, file in modules.items()}
    graphlib.TopologicalSorter(plain).prepare()  # raises CycleError, with the circle in it


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_who_knows_ray_and_optuna(file):
    place = file.relative_to(PACKAGE).as_posix()
    for library, places in {"ray": RAY, "optuna": OPTUNA}.items():
        if not any(place.startswith(allowed) for allowed in places):
            assert not [module for module in imports(file) if module.split(".")[0] == library], library


# One after the other in one process: what is absent after the last was absent all the time.
STATEMENTS = [
    ("import iafsweep", {"ray", "torchvision", "torch", "pandas", "pydantic", "typer"}),
    ("import iafsweep.cli.entry", {"ray", "torchvision", "torch", "pandas", "pydantic", "typer"}),
    ("iafsweep.load_config, iafsweep.SearchSpace", {"ray", "torchvision", "torch", "pandas"}),
    ("iafsweep.load_sweep, iafsweep.launch, iafsweep.train", {"ray", "torchvision", "optuna"}),
    ("import iafsweep.cli.single", {"ray", "torchvision"}),
    ("import iafsweep.cli.sweep", {"ray", "torchvision"}),
    ("import iafsweep.api.train, iafsweep.api.launch, iafsweep.cli.sweep_output", {"ray", "torchvision"}),
    ("iafsweep.load_run, iafsweep.build_model, iafsweep.estimators", {"ray", "torchvision"}),
    ("import iafsweep.report", {"ray", "torchvision", "sklearn"}),
]


def test_what_starts_fast_imports_little():
    checks = (f"{statement}; print(*({absent!r} & set(sys.modules)))" for statement, absent in STATEMENTS)
    code = "\n".join(["import sys", *checks])
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = dict(zip((statement for statement, _ in STATEMENTS), found.stdout.splitlines(), strict=True))
    assert not any(told.values()), told


def test_a_scoring_process_imports_no_pandas():
    code = (
        "import sys, iafsweep.sweep.cluster.actor_pool, iafsweep.sweep.scoring.worker; "
        "sys.exit(bool({'pandas', 'torch._dynamo', 'optuna', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


RUN_AND_TELL = """
import json, os, runpy, sys
import iafsweep.cli.single, iafsweep.cli.sweep
slow = {'ray', 'torch', 'torchvision', 'optuna', 'pandas'}
assert not slow & set(sys.modules)
for words in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        output = os.open(os.devnull, os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = words
        try:
            runpy.run_path(words[0], run_name='__main__')
        except SystemExit as end:
            told = json.dumps([end.code or 0, sorted(slow & set(sys.modules))])
            open(f'told-{os.getpid()}', 'w').write(told)
        os._exit(0)
    os.waitpid(child, 0)
    print(open(f'told-{child}').read(), flush=True)
"""


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep with two trials that can be compared."""
    folder = finish_sweep(tmp_path_factory.mktemp("sweep") / "s")
    for trial, nats in (("t0001", -90.0), ("t0002", -91.0)):
        table = pd.DataFrame({"image": range(3), "log_likelihood": [nats, nats - 1, nats - 2]})
        common = {"method": "importance_sampling", "split": "test", "settings": "5 samples", "binarisation_seed": 0}
        table.assign(**common).to_parquet(RunFolder(folder.trial(trial)).per_image)
    return folder


COMMANDS = [
    (["run_single.py", "--help"], 0, set()),
    (["run_sweep.py", "status", "SWEEP"], 0, set()),
    (["run_sweep.py", "list", "SWEEP"], 0, set()),
    (["run_sweep.py", "logs", "SWEEP", "t0001"], 0, set()),
    (["run_sweep.py", "export", "SWEEP"], 0, {"pandas"}),
    (["run_sweep.py", "compare", "SWEEP"], 0, {"pandas"}),
    (["run_sweep.py", "export", "SWEEP", "SWEEP"], 0, {"pandas"}),
    (["run_sweep.py", "report", "SWEEP"], 0, {"pandas", "optuna"}),
    (["run_sweep.py", "launch", "mnits"], 2, set()),
    (["run_sweep.py", "preview", "mnits"], 2, set()),
    (["run_sweep.py", "rehearse", "mnits", "--curves", "SWEEP"], 2, set()),
    (["run_sweep.py", "rehearse", "quick", "--curves", "nowhere"], 2, set()),
    (["run_single.py", "referense"], 2, set()),
    (["run_sweep.py", "resume", "nowhere"], 2, set()),
    (["run_sweep.py", "rerun", "nowhere"], 2, set()),
    (["run_sweep.py", "preview", "quick"], 0, {"torch"}),
    (["run_sweep.py", "launch", "quick", "--cpus-per-trial", "999"], 2, {"pandas", "optuna", "torch"}),
]


@pytest.mark.slow
def test_a_command_imports_no_more_than_it_needs(sweep, tmp_path):
    """Each in a process of its own, which forks off where the programs themselves are imported and nothing slow is."""
    given = [
        [str(PACKAGE.parent / words[0]), *(str(sweep.path) if word == "SWEEP" else word for word in words[1:])]
        for words, _, _ in COMMANDS
    ]
    call = [sys.executable, "-c", RUN_AND_TELL, json.dumps(given)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    for (words, code, imported), line in zip(COMMANDS, done.stdout.splitlines(), strict=True):
        told, slow = json.loads(line)
        assert (told, set(slow) - imported) == (code, set()), words
