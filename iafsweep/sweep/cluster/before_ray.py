"""What Ray would stumble over in words of its own, or without a word, looked at before it is started."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from iafsweep.errors import SweepError
from iafsweep.limits import processes_left

_SOCKET_BYTES = 107
"""The path of a Unix socket on Linux."""
_PROCESSES = 150
"""Processes and threads that Ray takes at least: on two cores its daemons have 127, the driver 20 more, a trial 22."""


def check_before_ray(temporary: str | None) -> None:
    """Look at the folder for sockets, the place of the authentication token, and the limit of processes.

    Args:
        temporary: folder for Ray's sockets and logs; None: Ray's own.

    Raises:
        SweepError: the folder's path is too long, nowhere can a token be kept, or too few processes are allowed.
    """
    _check_sockets(temporary)
    _check_token(temporary)
    left = processes_left()
    if left is not None and left.amount < _PROCESSES:
        raise SweepError(
            f"Ray needs some {_PROCESSES} processes and threads, and {left.limit} leaves {left.amount}; raise that "
            f"limit (`ulimit -u`, a container's --pids-limit)"
        )


def process_limit() -> str:
    """Return a remark on a limit of processes that Ray may have run into, empty where none is near."""
    left = processes_left()
    if left is None or left.amount > 10 * _PROCESSES:
        return ""
    return f"; {left.limit} leaves {left.amount} processes and threads, which may be too few"


def _check_sockets(temporary: str | None) -> None:
    found = {"--ray-folder": temporary}
    for name in ("RAY_TMPDIR", "TMPDIR"):  # as Ray looks for them, which puts a folder of its own inside
        found[name] = os.path.join(os.environ[name], "ray") if os.environ.get(name) else None
    source, folder = next(((name, value) for name, value in found.items() if value), ("", ""))
    sockets = f"/session_2000-01-01_00-00-00_000000_{os.getpid()}/sockets/plasma_store"
    most, length = _SOCKET_BYTES - len(sockets), len(os.fsencode(os.path.abspath(folder)))
    if folder and length > most:
        raise SweepError(
            f"{source} leads to {os.path.abspath(folder)}, {length} bytes, and Ray's sockets, which may have paths of "
            f"{_SOCKET_BYTES}, leave {most}; name a folder with a shorter path: --ray-folder /tmp/ray"
        )


def _check_token(temporary: str | None) -> None:
    """See that Ray finds a token or can draw one; with a folder of Ray's own one is drawn here, for this command."""
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
        f"Ray keeps the token that keeps others out in {token or '~/.ray/auth_token'}, which can neither be read nor "
        f"written; set HOME to a folder that you may write, set RAY_AUTH_TOKEN to a secret of your own, or name a "
        f"folder with --ray-folder: a token is then drawn for this command alone"
    )


def _can_be_made(path: Path) -> bool:
    there = next(parent for parent in path.parents if os.path.lexists(parent))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
