"""Whether every node of a cluster sees the sweep folder, checked before anything is trained."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from iafsweep.errors import SweepError

_SECONDS = 60.0


def check_shared_folder(folder: Path) -> None:
    """Let a task on every node read a file that this process wrote into ``folder``, and write one beside it.

    Does nothing when there is one node. Ray is running.

    Raises:
        SweepError: a node does not see the folder, sees another of the same name, or cannot write to it.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if len(nodes) < 2:
        return
    word = uuid.uuid4().hex
    path = folder / f".shared-{word}"
    path.write_text(word, encoding="utf-8")
    remote: Any = ray.remote(_look)
    try:
        looks = {
            node["NodeManagerAddress"]: remote.options(
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(str(path), word)
            for node in nodes
        }
        problems = [f"{name}: {problem}" for name, look in looks.items() if (problem := _answer(look))]
    finally:
        for left in folder.glob(f".shared-{word}*"):
            left.unlink(missing_ok=True)
    if problems:
        raise SweepError(
            f"{folder} must be one folder on all {len(nodes)} nodes (NFS or the like), but {'; '.join(problems)}; "
            f"name a shared one with --runs"
        )


def _answer(look: Any) -> str:  # noqa: ANN401 - Ray's references have no useful type
    try:
        return str(ray.get(look, timeout=_SECONDS))
    except (GetTimeoutError, RayError) as error:
        return f"no answer ({type(error).__name__})"


def _look(path: str, word: str) -> str:
    """Run on a node: return what is wrong there, empty if nothing is."""
    try:
        if Path(path).read_text(encoding="utf-8") != word:
            return "it holds something else there"
        Path(f"{path}-{uuid.uuid4().hex}").write_text(word, encoding="utf-8")
    except OSError as error:
        return f"{error.strerror} there"
    return ""
