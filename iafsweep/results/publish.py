"""Publish the results of a sweep: the leaderboard as CSV and Markdown, and the best configuration."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from iafsweep.atomic import write_text, writing
from iafsweep.config import dump_config
from iafsweep.leaderboard import best_row, ranked, winners_curse, write_csv, write_markdown
from iafsweep.records import LeaderboardRow
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import StoredSweep


@dataclass(frozen=True)
class Published:
    """What was published; ``retrain`` is the result of :func:`what_to_retrain`."""

    rows: tuple[LeaderboardRow, ...]
    order: list[str]
    problems: tuple[str, ...]
    retrain: list[str]


def publish(sweep: StoredSweep, csv: Path | None = None, show: Sequence[str] = ()) -> Published:
    """Write ``leaderboard.csv``, ``leaderboard.md`` and ``best.toml``; return what they were written from.

    With ``csv``, only the CSV is written, to that file, and nothing to the sweep folder, which may be read-only.

    The rows of ended trials come from the ledger, except test figures and the median epoch time, so that removed run
    folders cost nothing else. ``show`` is as in :func:`scored_rows`.

    Raises:
        UserError: no figure was measured with the settings to show.
    """
    folder, state, order = sweep.folder, sweep.state, sweep.parameters
    rows, _, problems = scored_rows(sweep, show)
    damaged = (f"the ledger is damaged: {problem}" for problem in sweep.damage)
    published = Published(rows, order, (*damaged, *problems), what_to_retrain(sweep, rows))
    if csv is not None:
        with writing(csv) as temporary:
            write_csv(rows, temporary, order)
        return published
    write_csv(rows, folder.leaderboard_csv, order)
    write_markdown(rows, folder.leaderboard_markdown, sweep.space.title or "Leaderboard", order)
    if (best := best_row(rows)) is not None and not (state.problems and folder.best.exists()):  # damage may hide it
        if (found := sweep.candidate_of(state.named[best.trial])) is not None:
            name = os.fsencode(folder.path.name).decode(errors="replace")  # TOML cannot hold bytes that are no text
            titled = found.config.model_copy(update={"title": f"Best of {name}: {best.trial}"})
            write_text(folder.best, dump_config(titled))
    return published


_TOP, _SEEDS = 3, 5
"""Numbers of trials and seeds to retrain if nothing says how many it takes: the defaults of ``retrain``."""


def what_to_retrain(sweep: StoredSweep, rows: Sequence[LeaderboardRow]) -> list[str]:
    """Return the options of the ``retrain`` that measures the winner's curse or finds the truly best trial.

    The list is empty if the best is known with 90% probability, all seeds agree, there was only one configuration to
    choose from, or nothing can be retrained: while a driver is at work, for a population, and for a list with repeats.
    """
    settings = sweep.space.sweep
    if sweep.driver is not None or settings.scheduler == "pbt" or settings.repeats > 1:
        return []
    completed = [row for row in ranked(rows) if row.rank is not None]
    if len(completed) < 2:  # noqa: PLR2004 - with one there was no choice
        return []
    top, seeds, found = min(_TOP, len(completed)), _SEEDS, winners_curse(completed)
    if found is not None:
        if not found.seed_deviation or max(found.probabilities.values()) >= found.confidence:
            return []
        top = found.top
        again = [found.seeds.get(trial, 1) for trial in list(found.probabilities)[:top]]
        seeds = 2 * max(again) if min(again) > 1 else _SEEDS
    return ["--top", str(top), "--seeds", str(seeds)]


def missing_checkpoints(folder: SweepFolder, rows: Sequence[LeaderboardRow]) -> list[str]:
    """Return the checkpoints that rows name but that do not exist (any more), relative to the sweep folder."""
    return [
        row.checkpoint for row in rows if row.checkpoint is not None and not (folder.path / row.checkpoint).exists()
    ]
