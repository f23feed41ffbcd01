"""All that a report says of a sweep, read from its folder once, whatever state it is in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iafsweep.leaderboard import ranked
from iafsweep.records import Evaluation, LeaderboardRow, TextTable
from iafsweep.report.curves import best_epochs, learning_curves, read_metrics
from iafsweep.report.figure import Bars, Curves, Figure, Parallel, Points, Spans
from iafsweep.report.importance import parameter_importance
from iafsweep.report.pictures import Pictures, best_pictures
from iafsweep.report.scored import figures_with_errors
from iafsweep.report.searched import bound_against_cost, parallel, slices
from iafsweep.report.variance import explained_variance
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.results.status import Status, status_of
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.storage.environment import Environment, read_environments
from iafsweep.sweep.storage.events import now
from iafsweep.sweep.storage.state import LedgerState
from iafsweep.sweep.storage.stored_sweep import StoredSweep


@dataclass(frozen=True)
class Findings:
    """What a sweep has come to, with its figures as data.

    Attributes:
        name: the sweep folder's name.
        made: when this was read, UTC.
        space: the search space.
        state: the ledger.
        status: how the sweep stands.
        rows: the trials with ranks, the best first.
        evaluations: figures of the scored trials, the best first.
        curves: learning curves.
        best_epochs: what training said in the best epochs.
        importance: of the searched parameters, for being among the best.
        variance: how much of the differences between all trials each parameter explains.
        parallel: all parameters at once.
        slices: a figure a parameter.
        cost: bound against seconds of an epoch.
        tested: test figures with errors.
        pictures: of the best trials.
        environments: what each driver ran on.
        problems: what could not be read, a sentence each.
        show: settings of the test figures that were asked for.
    """

    name: str
    made: str
    space: SearchSpace
    state: LedgerState
    status: Status
    rows: tuple[LeaderboardRow, ...]
    evaluations: dict[str, Evaluation]
    curves: Curves
    best_epochs: TextTable
    importance: Bars
    variance: Bars
    parallel: Parallel
    slices: tuple[Points, ...]
    cost: Points
    tested: Spans
    pictures: tuple[Pictures, ...]
    environments: tuple[Environment, ...]
    problems: tuple[str, ...]
    show: tuple[str, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure, in the order of the page."""
        return (self.curves, self.importance, self.variance, self.parallel, *self.slices, self.cost, self.tested)

    @property
    def best(self) -> LeaderboardRow | None:
        """The row of rank 1."""
        return self.rows[0] if self.rows and self.rows[0].rank == 1 else None


def read_findings(sweep: StoredSweep, show: Sequence[str] = ()) -> Findings:
    """Read the run folders and the figures of a sweep; nothing is written, and a driver may be at work in it.

    Args:
        sweep: the sweep.
        show: settings of the test figures to show, see :meth:`~iafsweep.records.Estimate.is_shown`.

    Raises:
        UserError: no figure was measured with the settings to show.
    """
    folder, space, state = sweep.folder, sweep.space, sweep.state
    problems = list(sweep.damage)
    metrics = {trial.trial: read_metrics(RunFolder(folder.trial(trial.trial)).metrics, problems)
               for trial in state.trials}  # fmt: skip
    scored = scored_rows(sweep, show)
    problems += scored.problems
    rows = ranked(scored.rows)
    evaluations = {row.trial: scored.evaluations[row.trial] for row in rows if row.trial in scored.evaluations}
    pictures = best_pictures(folder, rows, problems)
    return Findings(
        name=folder.path.name,
        made=now(),
        space=space,
        state=state,
        status=status_of(sweep),
        rows=rows,
        evaluations=evaluations,
        curves=learning_curves(rows, metrics),
        best_epochs=best_epochs(rows, metrics),
        importance=parameter_importance(space, state),
        variance=explained_variance(space, rows, metrics),
        parallel=parallel(space, rows),
        slices=tuple(slices(space, rows)),
        cost=bound_against_cost(rows),
        tested=figures_with_errors(evaluations, show),
        pictures=tuple(pictures),
        environments=read_environments(folder.environment),
        problems=tuple(problems),
        show=tuple(show),
    )
