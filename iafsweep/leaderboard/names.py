"""Names of parameters, as short as tables and figures can have them."""

from __future__ import annotations

from collections.abc import Sequence


def short_name(path: str, others: Sequence[str]) -> str:
    """Return the shortest end of a dotted path that is no other path's end."""
    parts = path.split(".")
    ends = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in others) == 1), path)
