"""Values of a search space as a configuration to train: its seed, and the key that identifies equal training."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iafsweep.config import FlowConfig, RunConfig
from iafsweep.config.family import FamilyConfig
from iafsweep.config.meaning import identity
from iafsweep.config.model import SylvesterConfig
from iafsweep.errors import ConfigError
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.space import SearchSpace
from iafsweep.seeds import derive_seed


@dataclass(frozen=True)
class Candidate:
    """A configuration to train.

    Attributes:
        values: searched values by path, active ones only.
        config: the whole configuration, with the trial's own training seed.
        key: equal for configurations that train identically.
        repeat: which of several seeds of the same configuration, from 1; 0 if each configuration has one seed.
    """

    values: Mapping[str, Scalar]
    config: RunConfig
    key: str
    repeat: int = 0

    @property
    def proposal(self) -> dict[str, Any]:
        """The candidate as rows of a ledger record it."""
        seed = self.config.training.seed
        return {"parameters": dict(self.values), "seed": seed, "key": self.key, "repeat": self.repeat}


def short_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2^31), as configurations accept it, that depends on all ``parts`` and nothing else."""
    return derive_seed(*parts) % 2**31


def candidate(space: SearchSpace, values: Mapping[str, Scalar], afresh: int = 0, repeat: int = 0) -> Candidate | None:
    """Return the configuration of ``values``, or None if together they break a rule.

    The training seed is a function of the sweep's seed and the configuration alone, so that a configuration trains the
    same way in any trial. Each start ``afresh`` and each ``repeat`` has a seed of its own.
    """
    try:
        config = space.config(values)
    except ConfigError:
        return None
    key = configuration_key(config)
    shown = f"{key}.{repeat}" if repeat else key
    return Candidate(dict(values), with_own_seed(config, key, space.sweep.seed, repeat, afresh), shown, repeat)


def with_own_seed(config: RunConfig, key: str, seed: int, repeat: int = 0, afresh: int = 0) -> RunConfig:
    """Return ``config``, which has this ``key``, with its training seed as a trial of a sweep with ``seed``."""
    parts: list[int | str] = ["trial", seed, key]
    if repeat:
        parts += ["repeat", repeat]
    if afresh:
        parts.append(afresh)
    training = config.training.model_copy(update={"seed": short_seed(*parts)})
    return config.model_copy(update={"training": training})


def configuration_key(config: RunConfig) -> str:
    """Return 16 hexadecimal digits, equal if and only if configurations train identically but for the seed.

    Fields without effect in ``config`` are left out (see :func:`relevant_values`), and defaults are resolved.
    """
    text = json.dumps(relevant_values(config), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def relevant_values(config: RunConfig) -> dict[str, Any]:
    """Return the values of ``config`` on which the trained weights depend, except the seed.

    Left out are:

    - later fields at their old meaning (:mod:`iafsweep.config.meaning`);
    - title, evaluation, the checkpoint intervals, whether to compile, and the seed;
    - sizes of encoders, decoders, flows and likelihoods of other kinds, and the flow's values at depth 0;
    - the momentum of batch norm, in a network without batch norm or with averaged weights;
    - a learning rate decay, an objective or an early end that never comes;
    - `adamw` without decay, which is `adam`;
    - without validation images, the seeds of the split and of the binarisation (which stays if it draws the bits of
      training images once);
    - bits drawn anew in each epoch and a Bernoulli likelihood, which all configurations once had.
    """
    return _mattering(config, identity(config, "configuration"))


def active_values(config: RunConfig) -> dict[str, Any]:
    """Return the values of ``config`` that have an effect in it, for people who compare runs.

    Unlike :func:`relevant_values`, it includes later fields whatever their value, and always optimiser, schedule and
    objective, even where another choice would do the same.
    """
    every = config.model_dump(mode="json")
    choices = {name: every["training"][name] for name in ("optimiser", "learning_rate_schedule", "objective")}
    found = _mattering(config, every)
    return found | {"training": found["training"] | choices}


def _mattering(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": _data(config, values["data"]),
        "model": _model(config, values["model"]),
        "training": _training(config, values["training"]),
    }


def _data(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    if config.data.is_known:
        values["validation_images"] = config.data.held_out
        values.pop("binarisation", None)
        if config.data.resolved_binarisation != "dynamic":
            values["binarisation"] = config.data.resolved_binarisation
    if values["validation_images"] == 0:
        del values["split_seed"]
        if values.get("binarisation") != "fixed":
            del values["binarisation_seed"]
    return values


def _model(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    model, head = config.model, values["decoder"].get("autoregressive", {})
    for part, kind in {"encoder": model.encoder.kind, "decoder": model.decoder.kind}.items():
        kept = {name: value for name, value in values[part].items() if not isinstance(value, dict)}
        values[part] = kept | {kind: values[part].get(kind, {})}
    if model.decoder.is_autoregressive:
        values["decoder"]["autoregressive"] = _used(model.decoder.autoregressive, head)
    sizes = values.pop("likelihood", {})
    if (likelihood := config.likelihood) != "bernoulli":
        values["likelihood"] = {"kind": likelihood, likelihood: sizes.get(likelihood, {})}
    if model.flow.depth == 0:
        values["flow"] = {"depth": 0}
    else:
        values["flow"] = _flow(model.flow, values["flow"])
    if "prior" in values:
        values["prior"] = _used(model.prior, values["prior"])
    if not config.has_lagging_averages:
        del values["batch_norm_momentum"]
    if not model.takes_batch_norm and model.normalisation == "none":
        del values["normalisation"]  # the same as batch norm where no network has it
    if model.normalisation != "batch_norm":
        values["flow"].get("made", {}).pop("batch_norm", None)
    return {name: value for name, value in values.items() if value != {}}


def _used(config: FamilyConfig, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a family's table without those of other kinds."""
    idle = config.family.members.keys() - {config.kind}
    return {name: value for name, value in values.items() if name not in idle}


def _flow(flow: FlowConfig, values: dict[str, Any]) -> dict[str, Any]:
    """Return a flow's values without those of other kinds."""
    values["context_size"] = flow.resolved_context_size
    idle = flow.family.members.keys() - {flow.kind} | (set() if flow.has_made else {"made"})
    if flow.kind != "iaf":
        idle.add("gated")
    if isinstance(flow.chosen, SylvesterConfig):
        used = {"orthogonal": "columns", "householder": "reflections"}.get(flow.chosen.variant)
        sizes = values.pop("sylvester", {})
        if kept := {name: value for name, value in sizes.items() if name in {"variant", used}}:
            values["sylvester"] = kept
    return {name: value for name, value in values.items() if name not in idle}


def _training(config: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    training = config.training
    for name in ("seed", "checkpoint_every_epochs", "checkpoint_every_minutes", "compile"):
        values.pop(name, None)
    schedule = training.learning_rate_schedule
    decays = training.epochs > training.learning_rate_decay_epochs and training.learning_rate_decay < 1
    if schedule != "step" or not decays:
        del values["learning_rate_decay"], values["learning_rate_decay_epochs"]
    if schedule != "cosine" or training.learning_rate_end == 1:
        values.pop("learning_rate_end", None)
        if schedule != "step" or not decays:
            values.pop("learning_rate_schedule", None)
    if training.optimiser == "adamw" and not training.weight_decay:
        del values["optimiser"]
    if not training.objective_begins:
        for name in ("objective", "objective_samples", "objective_from_epoch"):
            values.pop(name, None)
    if not (training.weight_average and config.model.has_batch_norm):
        values.pop("weight_average_images", None)
    if "weight_average_images" in values and config.data.is_known:
        values["weight_average_images"] = min(training.weight_average_images, config.data.training_images)
    patience = training.early_stopping_epochs
    if patience is not None and patience + training.settled_epochs >= training.epochs:
        del values["early_stopping_epochs"]
    return values
