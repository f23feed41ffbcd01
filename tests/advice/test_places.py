"""Each place in the sources that names a command to a user has a scenario that pastes it; those of the docs parse."""

import ast
import re
import shlex

import pytest
import typer

from iafsweep.cli import single, sweep
from tests.advice import test_runs, test_sweeps  # noqa: F401 - they say what they cover
from tests.advice.places import COVERED, NO_ADVICE, PACKAGE, advises, places
from tests.api import test_launch  # noqa: F401 - likewise
from tests.sweep.scoring import test_cost  # noqa: F401 - likewise

ROOT = PACKAGE.parent
SWEEP, RUN = (typer.main.get_command(each.app) for each in (sweep, single))
USAGE = typer.BadParameter.__base__
PROGRAMS = {"run_sweep.py": SWEEP, "iafsweep-sweep": SWEEP, "run_single.py": RUN, "iafsweep-run": RUN}


def test_every_command_that_is_shown_is_pasted_by_a_scenario():
    for place in filter(advises, places()):
        snippets = [snippet for file, snippet in COVERED if file == place.file]
        assert any(snippet in place.text for snippet in snippets), (
            f"iafsweep/{place.file}:{place.line} names a command or an option to a user, and no test pastes it:\n"
            f"  {place.text}\n"
            f"Write a scenario in tests/advice that gets this message from a command, runs what it says as it stands "
            f"there and checks that it does what it says; mark it @covers({place.file!r}, 'a part of the text'). "
            f"Commands are built by iafsweep/shown_command.py. A text that advises nothing belongs into NO_ADVICE."
        )


def test_scenarios_cover_what_is_there():
    there = places()
    said = [(file, snippet) for file, snippets in NO_ADVICE.items() for snippet in snippets]
    for file, snippet in [*COVERED, *said]:
        assert any(place.file == file and snippet in place.text for place in there), f"{file} has no {snippet!r}"


def test_commands_are_put_together_in_one_place():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "shown_command.py":
            continue
        text = path.read_text(encoding="utf-8")
        joins = [ast.unparse(node) for node in ast.walk(ast.parse(text))
                 if isinstance(node, ast.Call) and ast.unparse(node.func) == "shlex.join"]  # fmt: skip
        others = ("shlex.join(command)", "shlex.join([*command[:", "shlex.join([ours, *sys.argv])")  # of a report; bare
        assert all(each.startswith(others) for each in joins), f"{path}: see iafsweep/shown_command.py"


DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "tools/tutorial.py")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "search_spaces").glob("*.toml")),
    *sorted(path for path in (ROOT / "deploy").iterdir() if path.is_file()),
    *sorted((PACKAGE / "cli").rglob("*.py")),  # the texts of --help
]


def commands(text):
    """Command lines in prose, tables and blocks: behind a program's name, to the end of the line or of the quotes."""
    text = re.sub(r"\\\n\s*", " ", text)
    for found in re.finditer(rf"(?<![\w/])(?:\S*/)?({'|'.join(map(re.escape, PROGRAMS))})\"? +([a-z-][^\n`]*)", text):
        inside = text[text.rfind("\n", 0, found.start()) + 1 : found.start()].count("`") % 2
        line = found[2] if inside else re.split(r"`|\s#\s", found[2])[0]
        yield found[1], re.split(r"[;&)]|'$|' *\n|(?<!-)- |\. ", line)[0].strip()


def parse(program, words):
    """Parse a command line as far as it goes; a word alone need only be the name of a command or an option."""
    command = PROGRAMS[program]
    if hasattr(command, "commands") and words[0] != "--help":
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    if len(words) == 1 and words[0].startswith("--"):
        assert words[0] in options(command), f"no option {words[0]}"
    elif words:
        command.make_context(program, list(words))


def options(command):
    return {"--help", "--version"} | {option for each in command.params for option in each.opts}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_the_documents_parse(path):
    text = path.read_text(encoding="utf-8")
    inline = [("run_sweep.py", line) for line in re.findall(rf"`((?:{'|'.join(SWEEP.commands)}) [^`\n]+)`", text)]
    for program, line in [*commands(text), *(inline if path.suffix == ".md" else [])]:
        if line.startswith("run_sweep.py"):  # the map of the files
            continue
        line = re.sub(r"\[([\w-]+)\]", r"\1", line)  # optional
        words = [re.sub(r"^\$\w+.*$", "1", word) for word in shlex.split(line) if "[@]" not in word]
        try:
            parse(program, words)
        except (USAGE, AssertionError) as error:
            raise AssertionError(f"{path.relative_to(ROOT)}: {program} {line}: {error}") from None
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for found in re.finditer(r"(?:^|`)make ([a-z-]+)", text, re.M):
        assert found[1] in targets, f"{path.relative_to(ROOT)}: make {found[1]}"


OTHERS = {"--quick", "--models", "--work", "--seconds", "--only"}
"""Options of the benchmarks."""


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.suffix == ".md"], ids=lambda path: path.name)
def test_options_of_the_documents_exist(path):
    known = options(RUN).union(*(options(each) for each in SWEEP.commands.values())) | OTHERS
    named = set(re.findall(r"`(--[a-z-]+)[^`]*`", path.read_text(encoding="utf-8")))
    assert named <= known, f"{path.relative_to(ROOT)}: {named - known}"


def test_the_readme_has_the_commands_that_are_parsed():
    assert len(list(commands((ROOT / "README.md").read_text()))) > 20
