"""What shells offer behind the two commands, besides their options."""

from __future__ import annotations

from iafsweep.config import RunConfig, field_paths
from iafsweep.config.files import bundled_folder, read_toml


def configurations(typed: str) -> list[str]:
    """Names of the single configurations that come with the package."""
    return [name for name in _shipped(searches=False) if name.startswith(typed)]


def spaces(typed: str) -> list[str]:
    """Names of the search spaces that come with the package."""
    return [name for name in _shipped(searches=True) if name.startswith(typed)]


def fields(typed: str) -> list[str]:
    """Fields of the configuration as `--set` takes them."""
    return [f"{path}=" for path in field_paths(RunConfig) if path.startswith(typed)]


def _shipped(*, searches: bool) -> list[str]:
    return sorted(path.stem for path in bundled_folder().glob("*.toml") if ("search" in read_toml(path)) == searches)
