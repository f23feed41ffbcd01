"""A model's figures: log-densities of our networks, given to the estimators a shard of images at a time.

``bridges`` a model's log-densities · ``scoring`` a shard of images, ``simulated`` images drawn from the model ·
``shards`` what is scored at once and its parts added up · ``memory`` chunks that fit · ``tasks`` work with a name,
``jobs`` a figure as rounds of tasks · ``summary``, ``evaluate`` all figures of a run · ``previous`` those of before.

The estimators are in :mod:`iafsweep.estimators`; their names are found here too, as they were in version 0.1, with a
warning.
"""

import warnings

from iafsweep import estimators


def __getattr__(name: str) -> object:
    if name not in estimators.__all__:
        raise AttributeError(f"module 'iafsweep.evaluation' has no attribute {name!r}")
    warnings.warn(
        f"iafsweep.evaluation.{name} has moved: import it from iafsweep.estimators", DeprecationWarning, stacklevel=2
    )
    return getattr(estimators, name)
