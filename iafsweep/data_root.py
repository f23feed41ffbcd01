"""Where downloaded data sets are kept."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def default_data_root() -> Path:
    """Return where downloaded sets are kept: ``IAFSWEEP_DATA`` if set, else a cache folder of the user's."""
    named = os.environ.get("IAFSWEEP_DATA")
    return Path(os.path.expanduser(named)).absolute() if named else user_cache_path("iafsweep") / "data"


def absolute_data_root(asked: str | Path | None) -> Path:
    """Return the folder of data sets that was asked for, or the default one."""
    return Path(os.path.expanduser(asked or default_data_root())).absolute()
