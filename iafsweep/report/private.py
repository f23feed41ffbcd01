"""Make texts from files fit to be shared: no control characters, absolute paths, host names or user names."""

import getpass
import re
import socket
import unicodedata
from functools import cache
from ipaddress import IPv6Address

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_SHORTEST_NAME = 3
"""Shorter names of hosts and users occur in ordinary text."""
_FEWEST_NAMES = 3
_COMMON = {"root", "localhost"}
"""Names that identify nobody and occur in ordinary sentences."""

# A path begins with a root, followed by a name; `1/2` and `and/or` are not paths, and a URL is removed whole.
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_NAME = r"[^\s/'\"`<>|:,;()\[\]{}]+"
_PATH = re.compile(
    r"(?<=['\"`])(?:~[\w.-]*)?/[^'\"`]+(?=['\"`])"  # quoted, perhaps with spaces in it
    r"|(?<=['\"`])[A-Za-z]:[\\/][^'\"`]*(?=['\"`])"
    rf"|(?<=-[A-Za-z])(?<!\w-[A-Za-z])(?:/{_NAME})+/?"  # after an option: -I/usr/include
    rf"|(?<![\w./])(?:(?:\.\./){{2,}}|(?:\.\.?/)+(?=(?:home|Users|root)/)){_NAME}(?:/{_NAME})*/?"  # up and down again
    rf"|(?<![\w./\\~])(?!(?<=<)/\w+>)(?:~[\w.-]*)?(?:/{_NAME})+/?"  # but not </tag>
    rf"|(?<!\w)[A-Za-z]:(?:[\\/]{_NAME})+"
    rf"|\\\\{_NAME}"
)
_SLASHES = re.compile(r"[\\/]+")
_ADDRESSES = (
    re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.]*\d)"),
    re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\b"),
)
_PERHAPS_IPV6 = re.compile(r"(?<![\w:.])[0-9a-f:]*:[0-9a-f:]*:[0-9a-f:.]*(?:%[\w.-]+)?(?!\w)", re.IGNORECASE)


def shareable(text: str) -> str:
    """Return ``text`` in one line without anything that identifies the machine it came from.

    Absolute paths keep only their last name; URLs, network addresses and the names of this host and user are removed;
    control characters, and those that change the direction of writing, become U+FFFD.
    """
    text = " ".join(text.split())
    text = "".join(_REPLACEMENT if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Co") else mark for mark in text)
    text = _URL.sub(_ELLIPSIS, text)
    text = _PATH.sub(_last_name, text)
    for pattern in _ADDRESSES:
        text = pattern.sub(_ELLIPSIS, text)
    text = _PERHAPS_IPV6.sub(_without_address, text)
    for name in _names():
        text = re.sub(rf"(?<![\w]){re.escape(name)}(?![\w])", _ELLIPSIS, text, flags=re.IGNORECASE)
    return text


def _last_name(match: re.Match[str]) -> str:
    """Return the last name of a path; no name if the path is so short that it may be a person's folder."""
    names = [name for name in _SLASHES.split(match[0]) if name]
    if len(names) < _FEWEST_NAMES and "." not in names[-1]:
        return _ELLIPSIS
    return f"{_ELLIPSIS}/{names[-1]}"


def _without_address(match: re.Match[str]) -> str:
    """Remove a possible IPv6 address if it is one; ``::`` alone is C++ syntax, and ``12:30:00`` a time."""
    found = match[0].rstrip(".")
    address = found.rstrip(":") if not found.endswith("::") else found
    try:
        IPv6Address(address)
    except ValueError:
        return match[0]
    return match[0] if address == "::" else _ELLIPSIS + match[0][len(address) :]


@cache
def _names() -> tuple[str, ...]:
    """Return the names of this host and this user, the longest first."""
    found = {socket.gethostname(), socket.gethostname().split(".")[0]}
    try:
        found.add(getpass.getuser())
    except (KeyError, OSError, ImportError):  # a user without a name, as in containers
        pass
    telling = (name for name in found if len(name) >= _SHORTEST_NAME and name.lower() not in _COMMON)
    return tuple(sorted(telling, key=len, reverse=True))
