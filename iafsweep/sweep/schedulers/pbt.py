"""Population-based training: members train side by side, and the weakest continue from copies of the strongest."""

import random
import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

import torch

from iafsweep.config import RunConfig, dump_config
from iafsweep.errors import SweepError
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import candidate, short_seed
from iafsweep.search_space.distributions import Choice, Range, Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace, draw
from iafsweep.sweep.storage.events import Exchange, Generation
from iafsweep.sweep.storage.folder import TRIAL_SECONDS, SweepFolder
from iafsweep.sweep.storage.state import LedgerState, TrialState
from iafsweep.training import checkpoint

_TRIES = 100
"""Perturbations to try until the values together make a valid configuration."""


class Population:
    """Decides who stops where and who copies whom, from the space and the ledger alone (Jaderberg et al. 2017).

    All members train to the end of a generation before any continues, so that bounds of the same epoch are compared and
    a resumed sweep decides as an undisturbed one would. ``sweep.trials`` is the number of members.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._ends = tuple(range(space.generation_epochs, space.most_epochs, space.generation_epochs))

    def until(self, state: LedgerState) -> int | None:
        """Return the epoch to which members now train: the end of the first generation that is not complete.

        None in the last generation, in which members train to their last epoch.
        """
        return next((end for end in self._ends if not self._is_complete(end, state)), None)

    def generation(self, state: LedgerState) -> Generation | None:
        """Return the exchange that is due: that of the last complete generation, if the ledger does not have it yet."""
        complete = [end for end in self._ends if self._is_complete(end, state)]
        if not complete or complete[-1] in state.generations:
            return None
        end = complete[-1]
        members = sorted(
            (member for member in state.unfinished if has_reached(member, end)),
            key=lambda member: (_bound(member, end), member.proposed.number),
        )
        count = len(members) // self._space.procedure.copied_share  # truncation selection
        weakest = members[len(members) - count :]
        exchanges = (self._exchange(end, weak, members, count) for weak in weakest)
        return Generation(epoch=end, exchanges=tuple(exchanges), time="")

    def _exchange(self, end: int, weak: TrialState, ranked: list[TrialState], best: int) -> Exchange:
        generator = random.Random(short_seed("exchange", self._space.sweep.seed, end, weak.trial))
        donor = ranked[generator.randrange(best)]
        # Each exchange has its own number, so that no two copies draw the same noise.
        repeat = end * 10**6 + weak.proposed.number
        moved = (perturbed(self._space, donor.proposed.parameters, generator) for _ in range(_TRIES))
        legal = (candidate(self._space, values, repeat=repeat) for values in chain(moved, [donor.proposed.parameters]))
        found = next(filter(None, legal))  # the donor's own values are legal
        return Exchange(trial=weak.trial, donor=donor.trial, **found.proposal)

    def _is_complete(self, end: int, state: LedgerState) -> bool:
        everyone = len(state.trials) >= self._space.sweep.trials
        return everyone and all(has_reached(member, end) for member in state.unfinished)


def perturbed(space: SearchSpace, values: Mapping[str, Scalar], generator: random.Random) -> dict[str, Scalar]:
    """Return values near ``values``: each moved up or down, a choice to its neighbour; some are drawn anew.

    Numbers move by a share of themselves, by at least one step if the range has steps, and stay within the range. A
    parameter that becomes active is drawn.
    """
    redrawn = space.suggest(RandomSuggest(generator))
    moves = 1 - space.procedure.moved_by, 1 + space.procedure.moved_by
    moved = {}
    for path, value in values.items():
        direction, anew = generator.randrange(2), generator.random() < space.procedure.redrawn
        moved[path] = (
            redrawn.get(path, value)
            if anew
            else _moved(space.parameter(path).range, value, moves[direction], direction)
        )
    active = space.active(moved)
    while missing := space.missing(active):
        active = space.active(active | {missing[0]: draw(RandomSuggest(generator), space.parameter(missing[0]))})
    return active


def _moved(among: Range, value: Scalar, factor: float, direction: int) -> Scalar:
    """Return a neighbour of ``value``, clipped to the range."""
    if isinstance(among, Choice):
        place = among.options.index(value) + (1 if direction else -1)
        return among.options[min(max(place, 0), among.size - 1)]
    assert isinstance(value, int | float)
    low, high = among.low, among.high
    target = value * factor
    if among.step is not None:
        steps = max(1, round(abs(target - value) / among.step))
        target = value + (steps if direction else -steps) * among.step
    return among.canonical(min(max(target, low), high))


def has_reached(member: TrialState, end: int) -> bool:
    """Return whether the ledger holds a member's bound at epoch ``end`` or at a later end."""
    return any(rung.epoch >= end for rung in member.rungs)


def _bound(member: TrialState, end: int) -> float:
    return next((rung.value for rung in member.rungs if rung.epoch == end), float("inf"))


def make_copies(space: SearchSpace, folder: SweepFolder, state: LedgerState) -> tuple[Exchange, ...]:
    """Make the copies that the ledger's newest generation decided on and that are missing; return their exchanges.

    No member trains meanwhile, and none has trained since the decision if a copy is missing, so every donor's
    ``last.pt`` is that of the generation's end: no older checkpoints need to be kept.

    Raises:
        RunFolderError: a donor's checkpoint is missing or damaged.
        SweepError: the ledger belongs to another space.
    """
    generation = max(state.generations.values(), key=lambda each: each.epoch, default=None)
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
                f"in the ledger, {exchange.trial} continues with a configuration that is not in this search space; "
                f"restore the original sweep.toml"
            )
        target = RunFolder(folder.trial(exchange.trial))
        if not _is_made(target, found.config):
            with folder.trial_lock(exchange.trial, TRIAL_SECONDS):
                copy_run(RunFolder(folder.trial(exchange.donor)), target, found.config)
            made.append(exchange)
    return tuple(made)


def copy_run(source: RunFolder, target: RunFolder, config: RunConfig) -> None:
    """Replace a run folder by a copy of another as of its last checkpoint, to continue with another configuration.

    The copy has the weights, the optimiser's moments, the best epoch and the metrics (the history of these weights,
    with its training seconds). Killed at any moment, it leaves the old folder, the new one, or none, never half of one.

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
    return target.config.exists() and target.read_config() == config
