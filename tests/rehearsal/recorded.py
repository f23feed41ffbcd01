"""Curves of a space whose bounds are known: a formula of the values."""

import math
import random

from iafsweep.rehearsal.curves import Curve
from iafsweep.search_space.sampling import RandomSuggest
from tests.finished import SPACE

EPOCHS = 27


def searched(**sweep):
    """The space, searched otherwise."""
    training = SPACE.base.training.model_copy(update={"epochs": EPOCHS})
    sweep = SPACE.sweep.model_copy(update={"trials": 16, **sweep})
    return SPACE.__class__(SPACE.base.model_copy(update={"training": training}), SPACE.parameters, sweep)


def bound(values, epoch=EPOCHS):
    """Nats after an epoch: lowest with depth 2, width 8 and a learning rate of 0.004."""
    depth, width = values["model.flow.depth"], values.get("model.flow.made.width", 4)
    away = math.log(values["training.learning_rate"] / 0.004)
    return 95 + 2 * (depth - 2) ** 2 + (8 - width) / 2 + 6 * away**2 + 60 * math.exp(-epoch / 5)


def curve(values, noise=0.0, status="completed", epochs=EPOCHS):
    """The curve of values, with a second an epoch for each step of the flow and one more."""
    bounds = tuple(bound(values, epoch) + noise for epoch in range(1, epochs + 1))
    return Curve(values, bounds, (1.0 + values["model.flow.depth"],) * epochs, status)


def recorded(count=60, noise=0.0, seed=0):
    """Curves of configurations drawn at random."""
    generator = random.Random(seed)
    drawn = [SPACE.suggest(RandomSuggest(generator)) for _ in range(count)]
    return [curve(values, noise * generator.gauss(0, 1)) for values in drawn]
