"""Whether a Ray cluster answers, found out in seconds: ``ray.init`` itself tries for a quarter of an hour."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from iafsweep.errors import SweepError

_CONNECT_SECONDS = 5.0

_ANSWER_SECONDS = 25.0

_ADVICE = (
    "look at `ray status` on its head node, name that node as HOST:6379, or leave --address out to use this machine "
    "alone"
)


def check_cluster(address: str) -> None:
    """Refuse an address at which no Ray cluster answers.

    Ray's own command asks for it, in a process of its own, because Ray ends a process that waits in vain.

    Args:
        address: ``HOST:PORT``, or ``auto`` for the cluster this machine belongs to.

    Raises:
        SweepError: it is no address, nobody listens there, or who does is no Ray cluster that takes this machine's
            version and token.
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
        raise SweepError(f"--address {address} is no address of a Ray cluster: write HOST:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SweepError(
            f"nobody listens at --address {address} ({error}): no Ray cluster is there; {_ADVICE}"
        ) from None


def _environment(address: str) -> dict[str, str]:
    """As ``ray.init`` does for ``auto`` and its command does not: a token that is there is used."""
    has_token = os.path.exists(os.path.expanduser("~/.ray/auth_token")) or "RAY_AUTH_TOKEN" in os.environ
    return {**({"RAY_AUTH_MODE": "token"} if address == "auto" and has_token else {}), **os.environ}
