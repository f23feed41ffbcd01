"""A later version of the package, as this one with its source changed: fields added, removed, with other defaults."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

from iafsweep.config.run import RunSections
from iafsweep.config.section import Section
from iafsweep.config.sweep import SweepConfig
from iafsweep.version import FORMAT, VERSION

ROOT = Path(__file__).parents[2]
LATER = "9.0.0"


def sections(section: type[Section] = RunSections) -> list[type[Section]]:
    """Every level of the configuration, the whole first."""
    below = [field.annotation for field in section.model_fields.values()]
    found = [section]
    for each in below:
        if isinstance(each, type) and issubclass(each, Section):
            found += sections(each)
    return list(dict.fromkeys(found))


LEVELS = [*sections(), SweepConfig]


class LaterPackage:
    """A copy of the package to change, of a later version and format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(ROOT / "iafsweep", path / "iafsweep", ignore=shutil.ignore_patterns("__pycache__", "*.xz"))
        for data in (ROOT / "iafsweep").rglob("*.xz"):
            (path / data.relative_to(ROOT)).symlink_to(data)
        self.replace("version.py", f'VERSION = "{VERSION}"', f'VERSION = "{LATER}"')
        self.replace("version.py", f"FORMAT = {FORMAT}", f"FORMAT = {FORMAT + 1}")

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace what a file of the package, named from its top, has once."""
        path = self.path / "iafsweep" / file
        text = path.read_text()
        assert text.count(old) == 1, (file, old)
        path.write_text(text.replace(old, new))

    def add(self, section: type[BaseModel], line: str, imports: str = "") -> None:
        """Put a field above the first one of a section or a record."""
        path, fields = self._fields(section)
        lines = path.read_text().splitlines()
        lines.insert(min(node.lineno for node in fields) - 1, f"    {line}")
        text = "\n".join(lines) + "\n"
        if imports and imports not in text:
            text = text.replace(
                "from iafsweep.config.section import", f"{imports}\nfrom iafsweep.config.section import", 1
            )
        path.write_text(text)

    def remove(self, section: type[Section], name: str) -> None:
        """Take a field away."""
        path, fields = self._fields(section)
        lines = path.read_text().splitlines()
        (node,) = [each for each in fields if each.target.id == name]
        del lines[node.lineno - 1 : node.end_lineno]
        path.write_text("\n".join(lines) + "\n")

    def change_default(self, section: type[Section], name: str, default: str) -> None:
        """Give a field another default, whatever it had."""
        path, fields = self._fields(section)
        (node,) = [each for each in fields if each.target.id == name]
        first = (
            node.value.args[0] if node.value.args else next(k.value for k in node.value.keywords if k.arg == "default")
        )
        lines = path.read_text().splitlines()
        line = lines[first.lineno - 1]
        assert first.end_lineno == first.lineno
        lines[first.lineno - 1] = line[: first.col_offset] + default + line[first.end_col_offset :]
        path.write_text("\n".join(lines) + "\n")

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run Python with this package instead of the present one."""
        environment = {**os.environ, "PYTHONPATH": f"{self.path}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=self.path, env=environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

    def command(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run ``run_sweep.py`` of this package."""
        code = "import sys; from iafsweep.cli.entry import run_sweep; sys.argv[0] = 'run_sweep.py'; run_sweep()"
        return self.run("-c", code, *words)

    def _fields(self, section: type[BaseModel]) -> tuple[Path, list[ast.AnnAssign]]:
        pattern = re.compile(rf"^class {section.__name__}\(", re.MULTILINE)
        for path in (self.path / "iafsweep").rglob("*.py"):
            text = path.read_text()
            if pattern.search(text):
                (found,) = [
                    node for node in ast.walk(ast.parse(text))
                    if isinstance(node, ast.ClassDef) and node.name == section.__name__
                ]  # fmt: skip
                return path, [node for node in found.body if isinstance(node, ast.AnnAssign)]
        raise AssertionError(section)
