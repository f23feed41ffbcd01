"""Scoring: applies the estimators to a trained model, one shard of images at a time.

``bridges`` a model's log-densities · ``scoring`` scores a shard of images, ``simulated`` a shard of images drawn from
the model · ``shards`` shards and their results · ``memory`` chunks that fit into memory · ``tasks`` units of work,
``jobs`` a figure as rounds of tasks · ``summary`` figures of a split, ``evaluate`` all figures of a run · ``previous``
figures of earlier scorings.

The estimators are in :mod:`iafsweep.estimators`. Their names can still be imported from here, as in version 0.1, with a
deprecation warning.
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
