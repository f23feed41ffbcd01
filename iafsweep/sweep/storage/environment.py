"""What a sweep ran on, recorded each time a driver begins: versions, cores, the program's commit.

The device of each trial is in the ledger. Nothing here reveals the machine's name, its user or its folders, so that it
can be passed on with the results.
"""

import os
import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from pydantic import ValidationError

from iafsweep.limits import usable_cpus
from iafsweep.records import Record
from iafsweep.sweep.storage.events import now
from iafsweep.version import VERSION

_PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy", "pandas", "pydantic")
_GIT_SECONDS = 5


class Environment(Record):
    """What one driver ran on.

    ``packages`` are those that figures depend on; ``cuda`` is the version PyTorch was built for. ``commit`` is the
    program's, None if it does not run from a repository; ``changed`` says whether its files differed from that commit.
    """

    time: str
    python: str
    system: str
    cpus: int
    cuda: str | None
    packages: dict[str, str]
    commit: str | None
    changed: bool | None


def this_environment() -> Environment:
    """Return what this process runs on."""
    import torch  # imported here, so that reading the file stays fast

    commit, changed = _commit(Path(__file__).parents[2])
    return Environment(
        time=now(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpus=usable_cpus().amount,
        cuda=torch.version.cuda,
        packages={"iafsweep": VERSION} | {name: each for name in _PACKAGES if (each := _version(name)) is not None},
        commit=commit,
        changed=changed,
    )


def record_environment(path: Path) -> None:
    """Append this process's environment to ``path``, a JSON line; a full disk loses the line, not the sweep."""
    with suppress(OSError), path.open("a+b") as file:
        file.seek(-min(file.tell(), 1), os.SEEK_END)
        # A kill may have cut off the last line; appended to its half, this one could not be read either.
        torn = file.read() not in (b"", b"\n")
        line = this_environment().model_dump_json()
        file.write((f"\n{line}\n" if torn else f"{line}\n").encode())


def read_environments(path: Path) -> tuple[Environment, ...]:
    """Return the environments of all drivers, oldest first; lines that cannot be read are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            found.append(Environment.model_validate_json(line))
        except ValidationError:  # cut off by a kill
            continue
    return tuple(found)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit(package: Path) -> tuple[str | None, bool | None]:
    """Return the commit of the repository that tracks ``package``, and whether its files differ from it."""
    # An installed package may lie inside another repository: only one that tracks it is the program's.
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    status = _git(package, "status", "--porcelain", "--untracked-files=no", ".")
    return _git(package, "rev-parse", "HEAD"), None if status is None else bool(status)


def _git(folder: Path, *words: str) -> str | None:
    """Return git's output; None if git is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
