"""Which version of the package this is, and which wrote a file."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

VERSION = "0.2.0"
FORMAT = 2
"""Format of the files that runs and sweeps keep; VERSION is raised with it. Format 1, of 0.1.0, does not say so."""


@dataclass(frozen=True)
class Writer:
    """What wrote a file."""

    format: int = 1
    version: str = "0.1.0"

    @property
    def newer(self) -> str:
        """Why a file of a newer format is refused; empty if it is not newer."""
        if self.format <= FORMAT:
            return ""
        return (
            f"was written by iafsweep {self.version} in format {self.format}, and this version ({VERSION}) reads up to "
            f"format {FORMAT}; use iafsweep {self.version}"
        )

    def unknown(self, what: str) -> str:
        """Why a file that has ``what`` is refused."""
        return (
            f"was written by iafsweep {self.version} and has {what}, which this version ({VERSION}) does not know; "
            f"use iafsweep {self.version}"
        )


def stamp() -> dict[str, Any]:
    """Return what every file begins with."""
    return {"format": FORMAT, "written_by": VERSION}


def take_stamp(values: MutableMapping[str, Any]) -> Writer:
    """Take what says who wrote a file out of its values; what is no stamp is left in, for whoever checks the rest."""
    if not isinstance(values.get("format"), int) or not isinstance(values.get("written_by"), str):
        return Writer()
    return Writer(values.pop("format"), values.pop("written_by"))


def package_version() -> str:
    """Return the version of the package."""
    return VERSION
