"""Change the settings of a sweep as a command or a call asks."""

from collections.abc import Mapping
from dataclasses import replace

from pydantic import ValidationError

from iafsweep.api.news import SweepNews
from iafsweep.config.problems import explain, nearest
from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import ConfigError
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.cluster.gpu_packing import automatic_gpus, probe_gpu, require_gpu


def with_sweep(space: SearchSpace, changes: Mapping[str, object], news: SweepNews | None = None) -> SearchSpace:
    """Return ``space`` with changed sweep settings; values that are None change nothing.

    ``gpus_per_trial`` may be ``auto``: then the GPU memory of the largest configuration is measured, and ``news``
    receives the result.
    """
    for key in changes:
        if key not in SweepConfig.model_fields:
            raise ConfigError(f"[sweep] unknown key `{key}`: {nearest(str(key), list(SweepConfig.model_fields))}")
    given = {key: value for key, value in changes.items() if value is not None}
    if given.get("gpus_per_trial") == "auto":
        require_gpu()
        given["gpus_per_trial"] = share = automatic_gpus(space, probe_gpu)
        if news is not None:
            news.message(f"The largest configuration fits {1 / share:.0f} times on a GPU: {share:.3g} GPU per trial")
    try:
        return replace(space, sweep=SweepConfig.model_validate(space.sweep.model_dump() | given))
    except ValidationError as error:
        raise explain(error, "options") from None
