"""A member of a population goes on from a copy of another: files, made whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import replace

import torch

from iafsweep.config import RunConfig, dump_config
from iafsweep.errors import SweepError
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.population import current
from iafsweep.sweep.proposals import candidate
from iafsweep.sweep.rows import Exchange
from iafsweep.sweep.space import SearchSpace
from iafsweep.sweep.state import LedgerState
from iafsweep.training import RunFolder, checkpoint


def make_copies(space: SearchSpace, folder: SweepFolder, state: LedgerState) -> tuple[Exchange, ...]:
    """Make the copies that the newest generation of the ledger decided on and that are not made yet; return them.

    Nobody trains meanwhile, and nobody has trained since the decision if a copy is missing, so every donor's
    ``last.pt`` is that of the generation's end: no older checkpoints need to be kept.

    Args:
        space: the search space.
        folder: the sweep folder.
        state: the ledger.

    Raises:
        RunFolderError: a donor's checkpoint is missing or damaged.
        SweepError: the ledger is of another space.
    """
    generation = current(state.generations.values())
    if generation is None:
        return ()
    waiting = {trial.trial: trial for trial in state.unfinished}
    made = []
    for exchange in generation.exchanges:
        if exchange.trial not in waiting or waiting[exchange.trial].afresh:
            continue
        found = candidate(space, exchange.parameters, repeat=exchange.repeat)
        if found is None or found.key != exchange.key:
            raise SweepError(
                f"the copy of {exchange.trial} in the ledger is not a configuration of this search space; "
                f"put the right sweep.toml back"
            )
        target = RunFolder(folder.trial(exchange.trial))
        if not _is_made(target, found.config):
            copy_run(RunFolder(folder.trial(exchange.donor)), target, found.config)
            made.append(exchange)
    return tuple(made)


def copy_run(source: RunFolder, target: RunFolder, config: RunConfig) -> None:
    """Replace a run folder by a copy of another as of its last checkpoint, to go on with another configuration.

    Copied are weights, the optimiser's moments, the best epoch and the metrics (the history of these weights, with its
    training seconds). Killed at any moment, it leaves the old folder, the new one, or none, never half of one.

    Raises:
        RunFolderError: a checkpoint of ``source`` is missing or damaged.
    """
    fresh = RunFolder(target.path.with_name(f".{target.path.name}.new"))
    gone = target.path.with_name(f".{target.path.name}.gone")
    for left in (fresh.path, gone):
        shutil.rmtree(left, ignore_errors=True)
    fresh.path.mkdir(parents=True)
    text, cpu = dump_config(config), torch.device("cpu")
    last = checkpoint.load_last(source, cpu)
    best = None if last.best is None else replace(checkpoint.load_best(source, cpu), config=text)
    shutil.copyfile(source.metrics, fresh.metrics)
    checkpoint.save(fresh, replace(last, config=text), best)
    fresh.rewrite_config(config)
    if target.path.exists():
        target.path.rename(gone)
    fresh.path.rename(target.path)
    shutil.rmtree(gone, ignore_errors=True)


def _is_made(target: RunFolder, config: RunConfig) -> bool:
    return target.config.exists() and target.config.read_text(encoding="utf-8") == dump_config(config)
