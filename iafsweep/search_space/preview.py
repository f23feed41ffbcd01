"""Sample configurations of a space with their sizes, to look at before anything starts."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from iafsweep.config import RunConfig
from iafsweep.records import TextTable
from iafsweep.search_space.candidate import configuration_key
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace
from iafsweep.texts import value_text

_DUPLICATES = 100


@dataclass(frozen=True)
class Sample:
    """One configuration of a space."""

    values: dict[str, Scalar]
    config: RunConfig
    key: str


def sample_configurations(space: SearchSpace, count: int, seed: int = 0) -> tuple[Sample, ...]:
    """Return ``count`` different configurations of a space, or fewer if it has no more.

    A space of at most ``count`` configurations is returned whole, in the order of its grid. From a larger one they are
    drawn at random, the same for the same seed. They show what the space holds, not what a sampler will propose.

    Raises:
        ValueError: ``count`` is less than 1.
    """
    if count < 1:
        raise ValueError(f"`count >= 1` must hold, got {count}")
    is_whole, source = space.size is not None and space.size <= count, RandomSuggest(random.Random(seed))
    samples, in_a_row = dict[str, Sample](), 0
    for values in space.grid() if is_whole else (space.suggest(source) for _ in itertools.count()):
        config = space.config(values)
        key = configuration_key(config)
        in_a_row = in_a_row + 1 if key in samples else 0
        samples.setdefault(key, Sample(values, config, key))
        if not is_whole and (len(samples) == count or in_a_row == _DUPLICATES):
            break
    return tuple(samples.values())


def preview_table(
    space: SearchSpace, samples: tuple[Sample, ...], count_parameters: Callable[[RunConfig], int]
) -> TextTable:
    """Return a table with one row per sample: its number, its trainable parameters, and every searched value."""
    paths = [parameter.path for parameter in space.parameters]
    rows = tuple(
        (str(number), f"{count_parameters(sample.config):,}", *(value_text(sample.values.get(path)) for path in paths))
        for number, sample in enumerate(samples, start=1)
    )
    return TextTable(header=("#", "parameters", *paths), rows=rows, notes=_notes(space))


def _notes(space: SearchSpace) -> tuple[str, ...]:
    size = "no end to them" if space.size is None else f"{space.size:,}"
    ranges = [
        f"{parameter.path}: {parameter.range}" + (f", when {parameter.when.text}" if parameter.when else "")
        for parameter in space.parameters
    ]
    fixed = [f"{path} = {value!r} (fixed)" for path, value in space.fixed.items()]
    return (f"configurations: {size}", *ranges, *fixed)
