"""Install exact versions from files in requirements/, then this checkout, into the environment that runs this script.

`python -m tools.install requirements/run.txt` installs uv and uses it, or pip if uv is unavailable or fails; both check
the hashes. The user's settings of pip and uv do not change what is installed, only where it comes from: mirrors,
proxies and certificates are kept, and a mirror set only for pip is passed on to uv.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_PIP = {
    "PIP_CONSTRAINT": os.devnull,  # an empty value would leave the one in pip.conf
    "PIP_USER": "0",
    "PIP_REQUIRE_HASHES": "0",  # the checkout has none; for the files an option requires them
    "PIP_NO_BINARY": ":none:",
    "PIP_ONLY_BINARY": ":none:",
}
_NOT_FOR_US = (
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_REQUIREMENT", "PIP_PYTHON", "PIP_BUILD_CONSTRAINT"),
    *("UV_CONSTRAINT", "UV_BUILD_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_EXCLUDE_NEWER", "UV_REQUIRE_HASHES"),
    *("UV_NO_VERIFY_HASHES", "UV_NO_BINARY", "UV_NO_BINARY_PACKAGE", "UV_NO_BUILD", "UV_NO_BUILD_PACKAGE"),
    *("UV_NO_EDITABLE", "UV_TORCH_BACKEND", "UV_SYSTEM_PYTHON", "UV_PYTHON"),
)


def environment() -> dict[str, str]:
    """Return the environment for pip and uv, without variables that change what is installed, or into which place."""
    kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_US}
    return {**kept, **_PIP}


def mirror(pip: list[str], variables: dict[str, str]) -> dict[str, str]:
    """Return pip's index as a variable for uv, unless uv has an index of its own."""
    if {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & variables.keys():
        return {}
    listed = subprocess.run([*pip, "config", "list"], env=variables, capture_output=True, text=True, check=False).stdout
    settings = dict(line.split("=", 1) for line in listed.splitlines() if "=" in line)
    for name in (":env:.index-url", "install.index-url", "global.index-url"):
        if name in settings:
            return {"UV_DEFAULT_INDEX": ast.literal_eval(settings[name])}
    return {}


def install(files: list[str]) -> bool:
    """Install with uv or, if that fails, with pip.

    Returns:
        Whether one of them succeeded.
    """
    variables = environment()
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    uv = [str(Path(sys.executable).parent / "uv"), *quiet, "pip"]
    hashed = ["--no-deps", "--require-hashes"]
    locked = [*hashed, *(word for file in files for word in ("-r", file))]
    itself = ["--no-deps", "--no-build-isolation", "--editable", "."]

    def done(*command: str) -> bool:
        return subprocess.run(command, cwd=_ROOT, env=variables, check=False).returncode == 0

    if done(*pip, "install", *quiet, *hashed, "-r", "requirements/uv.txt"):
        variables |= mirror(pip, variables)
        here = ("install", "--python", sys.executable)
        if done(*uv, *here, *locked) and done(*uv, *here, *itself):
            return True
    print("uv could not install them; pip now installs the same versions", file=sys.stderr)
    words = ("install", *quiet, "--no-compile")  # like uv: Python compiles modules when it imports them
    return done(*pip, *words, *locked) and done(*pip, *words, *itself)


if __name__ == "__main__":
    if not install(sys.argv[1:]):
        sys.exit(
            f"uv and pip both failed. To install any versions that pyproject.toml allows: "
            f"{sys.executable} -m pip install -e '.[dev]'"
        )
