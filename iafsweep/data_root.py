"""The folder of downloaded data sets."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def default_data_root() -> Path:
    """Return the folder of downloaded data sets: ``IAFSWEEP_DATA`` if set, else a folder in the user's cache."""
    named = os.environ.get("IAFSWEEP_DATA")
    return Path(os.path.expanduser(named)).absolute() if named else user_cache_path("iafsweep") / "data"


def absolute_data_root(asked: str | Path | None) -> Path:
    """Return the absolute path of the folder of data sets asked for, or of the default."""
    return Path(os.path.expanduser(asked or default_data_root())).absolute()
