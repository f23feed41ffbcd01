"""Tune's ``param_space`` as configurations: fields by dotted path, or nested, on top of a base."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from ray.tune.search.sample import Categorical, Domain, Float, Integer

from iafsweep.config import RunConfig
from iafsweep.config.files import build_config, with_values
from iafsweep.config.problems import known_paths, unknown_key
from iafsweep.errors import ConfigError
from iafsweep.search_space.candidate import configuration_key, with_own_seed
from iafsweep.search_space.validation import why_not_searched

REPEAT = "repeat"
"""Key that says which of several seeds of a configuration a trial has, from 1, like a sweep's `repeats`."""
_GRID = "grid_search"


def trial_config(base: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return a trial's configuration: ``base`` with the values that Tune gives it, and a training seed of its own.

    The seed is a function of the base's seed and the configuration, and of ``repeat`` if given. A trial of one of our
    sweeps whose ``sweep.seed`` is the base's ``training.seed`` therefore trains the same.

    Raises:
        ConfigError: a key is not a field or must not differ, a value is invalid, or values together break a rule.
    """
    changes = _flat(values)
    repeat = changes.pop(REPEAT, 0)
    if not isinstance(repeat, int) or repeat < 0:
        raise ConfigError(f"`{REPEAT}` must be a whole number, 1, 2, ...; found {repeat!r}")
    _refuse(changes)
    config = build_config(with_values(base.model_dump(), changes), "a trial's configuration")
    return with_own_seed(config, configuration_key(config), base.training.seed, repeat)


def check_param_space(base: RunConfig, space: Mapping[str, Any]) -> None:
    """Check every key of a space and, one at a time, every listed value and both ends of every range.

    Rules on several fields depend on what is drawn; a trial that breaks one fails before it trains.

    Raises:
        ConfigError: a key is not a field or must not differ, or a value is invalid.
    """
    found = {path: domain for path, domain in _flat(space).items() if path != REPEAT}
    _refuse(found)
    values = base.model_dump()
    for path, domain in found.items():
        for value in _examples(domain):
            try:
                build_config(with_values(values, {path: value}), "param_space")
            except ConfigError as error:
                said = str(error).removeprefix("param_space:").lstrip()
                if said.startswith(path):  # else it breaks a rule on several fields, with the base's values
                    raise


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted paths and values, including those in nested dictionaries."""
    for name, value in values.items():
        if isinstance(value, Mapping) and _GRID not in value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value.item() if isinstance(value, np.generic) else value


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"param_space must be a dictionary that maps fields to what Tune draws them from, got "
            f"{type(values).__name__}"
        )
    found: dict[str, Any] = {}
    for path, value in leaves(values):
        if path in found:
            raise ConfigError(f"`{path}` is given twice, dotted and nested; remove one of the two")
        found[path] = value
    return found


def _refuse(paths: Iterable[str]) -> None:
    for path in paths:
        if path not in known_paths():
            raise ConfigError(unknown_key(path))
        if path == "training.seed":
            raise ConfigError(
                f"`{path}` cannot be searched: each trial derives its own seed from the one in `base`; to train a "
                f'configuration with several seeds, search "{REPEAT}" over 1, 2, ...'
            )
        if reason := why_not_searched(path):
            raise ConfigError(f"`{path}` cannot be searched: {reason}; set it in `base`")


def _examples(domain: Any) -> list[Any]:  # noqa: ANN401 - whatever a user's space holds
    if isinstance(domain, Mapping):
        return list(domain[_GRID])
    if isinstance(domain, Categorical):
        return list(domain.categories)
    if isinstance(domain, Integer):
        return [domain.lower, domain.upper - 1]
    if isinstance(domain, Float):
        return [end for end in (domain.lower, domain.upper) if math.isfinite(end)]
    return [] if isinstance(domain, Domain) else [domain]
