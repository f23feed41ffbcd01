"""The version of the package, and the version that wrote a file."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

VERSION = "0.2.0"
FORMAT = 2
"""Format of the files of runs and sweeps; VERSION is raised with it. Files of format 1 (0.1.0) carry no stamp."""


@dataclass(frozen=True)
class Writer:
    """The format and the package version that a file was written with."""

    format: int = 1
    version: str = "0.1.0"

    @property
    def newer(self) -> str:
        """Why a file of a newer format is refused; empty if it is not newer."""
        if self.format <= FORMAT:
            return ""
        return (
            f"was written by iafsweep {self.version} in format {self.format}, but this version ({VERSION}) reads only "
            f"formats up to {FORMAT}; use iafsweep {self.version}"
        )

    def unknown(self, what: str) -> str:
        """Return why a file that contains ``what`` is refused."""
        return (
            f"was written by iafsweep {self.version} and has {what}, which this version ({VERSION}) does not know; "
            f"use iafsweep {self.version}"
        )


def stamp() -> dict[str, Any]:
    """Return the format and version that every file begins with."""
    return {"format": FORMAT, "written_by": VERSION}


def take_stamp(values: MutableMapping[str, Any]) -> Writer:
    """Remove the stamp from a file's values and return it; an invalid stamp stays, for the validation of the rest."""
    if not isinstance(values.get("format"), int) or not isinstance(values.get("written_by"), str):
        return Writer()
    return Writer(values.pop("format"), values.pop("written_by"))


def package_version() -> str:
    """Return the version of the package."""
    return VERSION
