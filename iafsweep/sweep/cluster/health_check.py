"""Checks that Ray can start here, that a cluster answers, and that all its nodes see the sweep folder.

They take seconds and say what is wrong. ``ray.init`` itself tries a cluster for a quarter of an hour, and fails over
long paths and limits without explanation.
"""

import os
import secrets
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from iafsweep.errors import SweepError
from iafsweep.limits import processes_left

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 25.0

_ADVICE = (
    "check `ray status` on its head node, give that node as HOST:6379, or leave --address out to use this machine alone"
)


def check_cluster(address: str) -> None:
    """Refuse an address at which no Ray cluster answers.

    Ray's own health check runs in a separate process, because Ray ends a process that waits in vain.

    Args:
        address: ``HOST:PORT``, or ``auto`` for the cluster this machine belongs to.

    Raises:
        SweepError: it is no address, nothing listens there, or what listens is no Ray cluster that accepts this
            machine's version and token.
    """
    if address != "auto":
        _check_port(address)
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False, env=_environment(address)
        )
    except subprocess.TimeoutExpired:
        raise SweepError(
            f"no Ray cluster answers at --address {address} within {_ANSWER_SECONDS:g} s; {_ADVICE}"
        ) from None
    if asked.returncode != 0:
        said = (asked.stderr or asked.stdout).strip().splitlines() or ["no reason given"]
        raise SweepError(f"cannot join the Ray cluster at --address {address}: {said[-1].strip()[:300]}; {_ADVICE}")


def _check_port(address: str) -> None:
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if not separator or not host or not port.isdecimal():
        raise SweepError(f"--address {address} is not the address of a Ray cluster; write HOST:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SweepError(
            f"nothing listens at --address {address} ({error}), so no Ray cluster is running there; {_ADVICE}"
        ) from None


def _environment(address: str) -> dict[str, str]:
    """Return the command's environment: for ``auto``, an existing token is used, as ``ray.init`` does itself."""
    has_token = os.path.exists(os.path.expanduser("~/.ray/auth_token")) or "RAY_AUTH_TOKEN" in os.environ
    return {**({"RAY_AUTH_MODE": "token"} if address == "auto" and has_token else {}), **os.environ}


_SOCKET_BYTES = 107
"""Longest path of a Unix socket on Linux, in bytes."""

_PROCESSES = 150
"""Fewest processes and threads that Ray takes: on two cores its daemons have 127, the driver 20 more, a trial 22."""


def check_before_ray(temporary: str | None) -> None:
    """Check the folder for sockets, the place of the authentication token, and the limit on processes.

    Raises:
        SweepError: the folder's path is too long, a token can be kept nowhere, or too few processes are allowed.
    """
    _check_sockets(temporary)
    _check_token(temporary)
    left = processes_left()
    if left is not None and left.amount < _PROCESSES:
        raise SweepError(
            f"Ray needs about {_PROCESSES} processes and threads, but {left.limit} leaves {left.amount}; raise that "
            f"limit (`ulimit -u`, a container's --pids-limit)"
        )


def process_limit() -> str:
    """Return a remark on a limit on processes that Ray may have run into; empty if none is near."""
    left = processes_left()
    if left is None or left.amount > 10 * _PROCESSES:
        return ""
    return f"; {left.limit} leaves {left.amount} processes and threads, which may be too few"


def _check_sockets(temporary: str | None) -> None:
    found = {"--ray-folder": temporary}
    for name in ("RAY_TMPDIR", "TMPDIR"):  # in Ray's order; Ray makes a folder of its own inside
        found[name] = os.path.join(os.environ[name], "ray") if os.environ.get(name) else None
    source, folder = next(((name, value) for name, value in found.items() if value), ("", ""))
    sockets = f"/session_2000-01-01_00-00-00_000000_{os.getpid()}/sockets/plasma_store"
    most, length = _SOCKET_BYTES - len(sockets), len(os.fsencode(os.path.abspath(folder)))
    if folder and length > most:
        raise SweepError(
            f"{source} gives Ray the folder {os.path.abspath(folder)}, whose path of {length} bytes is too long: a "
            f"socket's path may have {_SOCKET_BYTES} bytes, and Ray's own names leave {most}; choose a folder with a "
            f"shorter path: --ray-folder /tmp/ray"
        )


def _check_token(temporary: str | None) -> None:
    """Check that Ray finds a token or can create one; with a folder of Ray's own, create one for this command."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    try:
        token = Path.home() / ".ray" / "auth_token"
    except RuntimeError:  # a container's user without a name
        token = None
    if token is not None and (os.access(token, os.R_OK) or (not os.path.lexists(token) and _can_be_made(token))):
        return
    if temporary is not None:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        return
    raise SweepError(
        f"Ray stores its authentication token in {token or '~/.ray/auth_token'}, which can be neither read nor "
        f"written; set HOME to a writable folder, set RAY_AUTH_TOKEN to a secret of your own, or give a folder with "
        f"--ray-folder: a token is then drawn for this command alone"
    )


def _can_be_made(path: Path) -> bool:
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


_LOOK_SECONDS = 60.0


def check_shared_folder(folder: Path) -> None:
    """Check that every node reads a file that this process wrote to ``folder``, and can write one beside it.

    Does nothing if there is one node. Ray is running.

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
            f"{folder} must be the same folder on all {len(nodes)} nodes (on NFS, for example), but "
            f"{'; '.join(problems)}; choose a shared folder with --runs"
        )


def _answer(look: Any) -> str:  # noqa: ANN401 - Ray's references have no useful type
    try:
        return str(ray.get(look, timeout=_LOOK_SECONDS))
    except (GetTimeoutError, RayError) as error:
        return f"no answer ({type(error).__name__})"


def _look(path: str, word: str) -> str:
    """Check the folder from a node: return what is wrong there, empty if nothing is."""
    try:
        if Path(path).read_text(encoding="utf-8") != word:
            return "the folder there is a different one"
        Path(f"{path}-{uuid.uuid4().hex}").write_text(word, encoding="utf-8")
    except OSError as error:
        return str(error.strerror)
    return ""
