"""Sweeps beside each other in a folder, made of records alone."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from iafsweep.search_space.files import dump_space
from iafsweep.sweep.storage.events import Finished, Header, Proposed, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import read_sweep, space_hash
from iafsweep.training import RunFolder


def recorded(path, space, *points):
    """A sweep of a space with a completed trial a point, as far as its ledger tells."""
    folder = SweepFolder(path)
    folder.create()
    folder.space.write_text(dump_space(space))
    rows = [Header(sweep="a" * 32, created="t", seed=0, space=space_hash(space))]
    for number, values in enumerate(points, 1):
        named = {"trial": trial_name(number), "time": "t"}
        rows += [
            Proposed(number=number, parameters=values, seed=1, key=str(number), **named),
            Finished(
                status="completed", epochs=1, best_epoch=1, best_value=100.0, seconds=1.0, gpu_seconds=0.0, **named
            ),
        ]
    folder.ledger.write_text("".join(f"{row.model_dump_json()}\n" for row in rows))
    return folder


def rewrite(folder, **sections):
    """Change fixed values of a sweep, as if it had been launched with them."""
    stored = read_sweep(folder)
    base = stored.space.base
    changed = {name: getattr(base, name).model_copy(update=values) for name, values in sections.items()}
    space = replace(stored.space, base=base.model_copy(update=changed))
    folder.space.write_text(dump_space(space))
    folder.ledger.write_text(folder.ledger.read_text().replace(stored.state.header.space, space_hash(space)))


def begun(folder, time):
    """Change when a sweep began."""
    header, _, rows = folder.ledger.read_text().partition("\n")
    created = read_sweep(folder).state.header.created
    folder.ledger.write_text(f"{header.replace(created, time)}\n{rows}")


def images(folder, trial, nll, settings="1000 samples", count=20):
    """Write figures of each image: image ``i`` has ``nll`` and ``i`` per cent of it."""
    run = RunFolder(folder.trial(trial))
    table = pd.DataFrame({"image": range(count)})
    table = table.assign(log_likelihood=-nll * (1 + table["image"] / 100), settings=settings)
    table.assign(method="importance_sampling", split="test", binarisation_seed=0).to_parquet(run.per_image)
