"""Which version of the package this is."""

from __future__ import annotations

from importlib import metadata


def package_version() -> str:
    """Return the version that is installed; of a checkout that is not, that it is one."""
    try:
        return metadata.version("iafsweep")
    except metadata.PackageNotFoundError:
        return "(a checkout)"
