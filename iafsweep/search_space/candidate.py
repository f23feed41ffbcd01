"""TODO iafsweep.search_space.candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iafsweep.config import RunConfig
from iafsweep.errors import ConfigError
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.fingerprint import configuration_key
from iafsweep.search_space.space import SearchSpace
from iafsweep.seeds import derive_seed


@dataclass(frozen=True)
class Candidate:
    """A configuration to train.

    Attributes:
        values: searched values by path, active ones only.
        config: the whole configuration, with the trial's own training seed.
        key: equal for configurations that train the same.
        repeat: which of several seeds of the same configuration, from 1; 0 where each has one.
    """

    values: Mapping[str, Scalar]
    config: RunConfig
    key: str
    repeat: int = 0


def short_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2^31), as configurations take it, that depends on all ``parts`` and on nothing else."""
    return derive_seed(*parts) % 2**31


def candidate(space: SearchSpace, values: Mapping[str, Scalar], afresh: int = 0, repeat: int = 0) -> Candidate | None:
    """Return the configuration of ``values``, or None if together they break a rule.

    The training seed is a function of the sweep's seed and the configuration alone, so that a configuration trains
    alike whichever trial it is; a trial that began ``afresh``, and each ``repeat``, has another one.
    """
    try:
        config = space.config(values)
    except ConfigError:
        return None
    key = configuration_key(config)
    parts: list[int | str] = ["trial", space.sweep.seed, key]
    if repeat:
        parts += ["repeat", repeat]
    if afresh:
        parts.append(afresh)
    training = config.training.model_copy(update={"seed": short_seed(*parts)})
    shown = f"{key}.{repeat}" if repeat else key
    return Candidate(dict(values), config.model_copy(update={"training": training}), shown, repeat)
