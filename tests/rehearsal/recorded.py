"""Curves of a space whose bounds are known: a formula of the values."""

import math
import random

from iafsweep.rehearsal.curves import Curve
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.sweep.storage.events import Finished, Proposed, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import open_ledger
from tests.finished import SPACE
from tests.sweep.tiny import metrics

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


def record_sweep(path, count=40, status=lambda number: "completed"):
    """A sweep's folder as such trials leave it, but for their weights."""
    space = searched(trials=count)
    folder = SweepFolder(path)
    folder.create()
    with open_ledger(space, folder) as ledger:
        for number, found in enumerate(recorded(count), start=1):
            trial, name = candidate(space, found.values), trial_name(number)
            ended = curve(found.values, status=status(number), epochs=EPOCHS if status(number) == "completed" else 9)
            ledger.append(Proposed(trial=name, number=number, **trial.proposal, time="t"))
            run = folder.trial(name)
            run.mkdir()
            rows = [metrics(epoch, value) for epoch, value in enumerate(ended.bounds, start=1)]
            (run / "metrics.jsonl").write_text("".join(f"{row.model_dump_json()}\n" for row in rows))
            last, epochs = ended.bounds[-1], len(ended.bounds)
            facts = {"seconds": float(epochs), "gpu_seconds": 0.0, "time": "t"}
            best = {"value": last, "best_epoch": epochs, "best_value": last}
            ledger.append(Finished(trial=name, status=ended.status, epochs=epochs, **best, **facts))
    return folder
