"""Print the lowest version of every dependency, for pip: `pip install $(python -m tools.minimum_versions)`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+(?:\[[a-z,]+\])?)>=([0-9.]+)(?:,<[0-9.]+)?")


def lower_bounds() -> list[str]:
    """Return ``name==version`` for each dependency in pyproject.toml.

    Raises:
        ValueError: a dependency has no lower bound of the form ``name>=version``.
    """
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = []
    for requirement in project["dependencies"]:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{requirement!r} has no lower bound of the form name>=version")
        found.append(f"{match[1]}=={match[2]}")
    return found


if __name__ == "__main__":
    print(" ".join(lower_bounds()))
