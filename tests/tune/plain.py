"""Trials and results of Tune's without Ray: its class trainables can be driven by hand."""

from __future__ import annotations

import iafsweep
from iafsweep.config import RunConfig
from iafsweep.records import EpochMetrics
from iafsweep.tune import trainable
from tests.finished import BASE, blobs

RATE, DEPTH, WIDTH = "training.learning_rate", "model.flow.depth", "model.flow.made.width"
FIGURES = {*EpochMetrics.model_fields, "status", "best_epoch", "best_value", "parameters", "training_iteration", "done"}
FIGURES -= {"seconds", "images_per_second"}


def images(seed: int = 0) -> iafsweep.Images:
    both = blobs()
    return iafsweep.Images(train=both.training.roll(seed, 0), validation=both.validation, test=both.validation[:50])


def base(**training: object) -> RunConfig:
    values = BASE.model_dump() | {"data": {"source": "file"}, "title": "Which depth?"}
    return RunConfig.model_validate(values | {"training": values["training"] | {"epochs": 3} | training})


def made(**training: object) -> type:
    return trainable(base(**training), images=images())


def told(result: dict) -> dict:
    """A report without what a clock says, and without what Tune adds."""
    return {name: result[name] for name in sorted(FIGURES & result.keys())}
