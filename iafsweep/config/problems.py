"""Turn pydantic's findings into messages a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from pydantic import ValidationError

from iafsweep.config.run import RunConfig
from iafsweep.config.section import Section, field_paths
from iafsweep.errors import ConfigError

KNOWN_PATHS = tuple(field_paths(RunConfig))


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a sentence that suggests the nearest known name, or lists all of them if none is near.

    The last part of a dotted path is compared as well, so that ``model.latent`` finds ``model.latent_size``; a field of
    just that name in another table wins.
    """
    same_field = [path for path in known if path.rsplit(".", 1)[-1] == name.rsplit(".", 1)[-1]]
    close = difflib.get_close_matches(name, same_field or known, n=1, cutoff=0.0 if same_field else 0.6)
    if not close:
        last_parts = {path.rsplit(".", 1)[-1]: path for path in reversed(known)}
        matches = difflib.get_close_matches(name.rsplit(".", 1)[-1], list(last_parts), n=1, cutoff=0.6)
        close = [last_parts[match] for match in matches]
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(known)}"


def _siblings(path: str) -> list[str]:
    """Known keys and tables in the table of ``path``."""
    prefix = path.rsplit(".", 1)[0] + "." if "." in path else ""
    names = {prefix + known.removeprefix(prefix).split(".")[0] for known in KNOWN_PATHS if known.startswith(prefix)}
    return sorted(names)


def unknown_key(path: str) -> str:
    """Message for a key that is no field of the configuration."""
    hint = nearest(path, KNOWN_PATHS)
    if hint.startswith("known:"):
        hint = f"known here: {', '.join(_siblings(path)) or ', '.join(_siblings('x'))}"
    return f"unknown key `{path}`: {hint}"


def explain(error: ValidationError, origin: str) -> ConfigError:
    """Return the findings of ``error`` as one error, a line a finding, each with its key and what was found."""
    lines = []
    for finding in error.errors():
        path = ".".join(str(part) for part in finding["loc"])
        if finding["type"] == "extra_forbidden":
            lines.append(unknown_key(path))
            continue
        message = finding["msg"].removeprefix("Value error, ")
        found = (
            ""
            if finding["type"] == "value_error" or isinstance(finding["input"], Section | dict)
            else (f", found {finding['input']!r}")
        )
        lines.append(f"{path}: {message}{found}" if path else f"{message}{found}")
    return ConfigError(f"{origin}: " + ("\n  ".join(["", *lines]) if len(lines) > 1 else lines[0]))
