"""How large configurations are, without building them: parameters, and bytes on disk."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from iafsweep.config import RunConfig
from iafsweep.models import build_model, count_parameters
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace

_DRAWN = 16

_BYTES_A_PARAMETER = 16
"""``last.pt`` holds weights and Adam's two moments, ``best.pt`` weights: four times float32."""

_OTHER_BYTES = 2 * 2**20
"""Figures, TensorBoard events, metrics and log of one run."""


def parameter_count(config: RunConfig) -> int:
    """Return the number of trainable parameters of a configuration's model."""
    with torch.device("meta"):
        model = build_model(config.model, config.image_format, seed=0)
    return count_parameters(model)


def run_folder_bytes(config: RunConfig) -> int:
    """Return about how many bytes the run folder of a configuration takes."""
    return _BYTES_A_PARAMETER * parameter_count(config) + _OTHER_BYTES


def drawn_configurations(space: SearchSpace, count: int = _DRAWN) -> Sequence[RunConfig]:
    """Return configurations of ``space`` to estimate sizes from, always the same ones."""
    source = RandomSuggest(random.Random(0))
    found = (candidate(space, space.suggest(source)) for _ in range(count))
    return [each.config for each in found if each is not None] or [space.base]
