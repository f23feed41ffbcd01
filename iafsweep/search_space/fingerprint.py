"""The key that tells whether two configurations train the same model the same way."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from iafsweep.config import RunConfig
from iafsweep.config.meaning import identity


def configuration_key(config: RunConfig) -> str:
    """Return 16 hexadecimal digits: equal for configurations that train identically but for the seed, else different.

    Fields that do nothing in ``config`` are left out (:func:`relevant_values` says which), defaults are resolved.
    """
    text = json.dumps(relevant_values(config), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def relevant_values(config: RunConfig) -> dict[str, Any]:
    """Return the values of ``config`` that the trained weights depend on, the seed apart.

    Left out: later fields at their old meaning (:mod:`iafsweep.config.meaning`), title, evaluation, the interval of
    checkpoints, whether to compile, the seed; sizes of encoders, decoders and likelihoods of other kinds; the flow's
    values at depth 0; the momentum of batch norm in a network without one; a learning rate decay that never comes; the
    split's seeds without validation images (that of bits which are drawn for training stays); bits drawn anew each
    epoch and a Bernoulli likelihood, which all configurations had once.
    """
    values = identity(config, "configuration")
    return {
        "data": _data(config, values["data"]),
        "model": _model(config, values["model"]),
        "training": _training(config, values["training"]),
    }


def _data(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    values["validation_images"] = config.data.held_out
    values.pop("binarisation", None)
    if (binarisation := config.data.resolved_binarisation) != "dynamic":
        values["binarisation"] = binarisation
    if config.data.held_out == 0:
        del values["split_seed"]
        if binarisation != "fixed":
            del values["binarisation_seed"]
    return values


def _model(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    model = config.model
    for part, kind in {"encoder": model.encoder.kind, "decoder": model.decoder.kind}.items():
        values[part] = {"kind": kind, kind: values[part].get(kind, {})}
    sizes = values.pop("likelihood", {})
    if (likelihood := config.likelihood) != "bernoulli":
        values["likelihood"] = {"kind": likelihood, likelihood: sizes.get(likelihood, {})}
    if model.flow.depth == 0:
        values["flow"] = {"depth": 0}
    else:
        values["flow"]["context_size"] = model.flow.resolved_context_size
    if not model.has_batch_norm:
        del values["batch_norm_momentum"]
    return values


def _training(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    training = config.training
    for name in ("seed", "checkpoint_every_epochs", "checkpoint_every_minutes", "compile"):
        values.pop(name, None)
    decays = training.epochs > training.learning_rate_decay_epochs and training.learning_rate_decay < 1
    if not decays:
        del values["learning_rate_decay"], values["learning_rate_decay_epochs"]
    return values
