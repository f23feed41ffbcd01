"""Read everything that the page shows of a sweep from its folder, whatever state it is in."""

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import BaseModel

from iafsweep.config import RunConfig
from iafsweep.leaderboard import curse_note, doubts, leaderboard_table, ranked
from iafsweep.records import AUTOREGRESSIVE, FigureCell, LeaderboardRow
from iafsweep.records.trust import DOUBTFUL_SHARE, TRUSTED_SHARE
from iafsweep.report import words
from iafsweep.report.contents import Contents, Searched, Tried, Value
from iafsweep.report.curves import best_epochs, learning_curves, read_metrics
from iafsweep.report.importance import parameter_importance
from iafsweep.report.pictures import best_pictures
from iafsweep.report.scored import diagnostics_table, paired, sandwich_table
from iafsweep.report.variance import explained_variance
from iafsweep.report.verdict import verdict_of_trial
from iafsweep.results.leaderboard_rows import scored_rows
from iafsweep.results.status import status_of
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.distributions import Choice
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.shown_command import plugin_options
from iafsweep.sweep.storage.environment import read_environments
from iafsweep.sweep.storage.events import now
from iafsweep.sweep.storage.stored_sweep import StoredSweep
from iafsweep.texts import short_name, value_text


def read_contents(sweep: StoredSweep, command: Sequence[str], show: Sequence[str] = ()) -> Contents:
    """Read the run folders and the figures of a sweep; nothing is written, and a driver may be at work.

    Args:
        sweep: the sweep.
        command: the words of the command that makes the page, the sweep folder last, without absolute paths.
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
    table = leaderboard_table(rows, sweep.parameters)
    places = [place for place, name in enumerate(table.header) if any(isinstance(row[place], FigureCell)
                                                                      for row in table.rows)]  # fmt: skip
    parameters = _searched(space, rows)
    best = rows[0] if rows and rows[0].rank == 1 else None
    series, curves, curves_note = learning_curves(rows, metrics)
    status = status_of(sweep)
    pairs, pairs_note = paired(folder, evaluations)
    found = None if best is None else evaluations.get(best.trial)
    return Contents(
        name=folder.path.name,
        title=space.title or folder.path.name,
        made=now(),
        standing=words.how_it_stands(status, space, bool(rows)),
        running=status.driver is not None,
        best=None if best is None else best.trial,
        verdict=words.why_no_best(rows) if best is None else verdict_of_trial(found, show),
        doubts=() if best is None else (*filter(None, [curse_note(rows)]), *doubts([best])),
        tiles=() if best is None else tuple(words.tiles(best, found, show)),
        facts=tuple(words.facts(rows, status.trials, state.gpu_seconds, len(evaluations))),
        asked=status.trials,
        parameters=parameters,
        figures=tuple(table.header[place].replace("-ELBO", "−ELBO") for place in places),
        trials=tuple(
            _tried(row, parameters, tuple(cells[place] for place in places))
            for row, cells in zip(rows, table.rows, strict=True)
        ),
        notes=table.notes,
        population=words.population(state),
        failures=tuple(words.failures(rows)),
        series=series,
        curves=curves,
        curves_note=curves_note,
        best_epochs=best_epochs(rows, metrics),
        importance=parameter_importance(space, state),
        variance=explained_variance(space, rows, metrics),
        diagnostics=diagnostics_table(evaluations),
        sandwiches=sandwich_table(evaluations),
        estimators_note=words.estimators_note(evaluations),
        pairs=pairs,
        pairs_note=pairs_note,
        configuration=dict(_fields(space.base.published)),
        defaults=dict(_fields(RunConfig())),
        pictures=best_pictures(folder, rows, problems),
        environment=words.environment(folder.path.name, space, state, read_environments(folder.environment)),
        problems=tuple(problems),
        levels=(TRUSTED_SHARE, DOUBTFUL_SHARE),
        commands=tuple(_commands(command, words.what_is_left(status, sweep, evaluations, rows))),
        **_for_trials(command, best),
    )


def _commands(command: Sequence[str], left: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[str, str]]:
    """Yield how to make the page again and what is left to do, as purposes and lines to paste."""
    yield "Write this report again", shlex.join(command)
    for title, more in left:
        named = (command[-1], *more[1:], *plugin_options())
        yield title, shlex.join([*command[: command.index("report")], more[0], *named])


def _for_trials(command: Sequence[str], best: LeaderboardRow | None) -> dict[str, str]:
    """Return the commands that a reader may want to run for a trial, and the sweep folder as they name it."""
    folder = command[-1]
    trial = "TRIAL" if best is None else best.trial
    again = [f"{folder}/trials/TRIAL/config.toml", "--run", "runs/TRIAL-again", *plugin_options()]
    train = shlex.join([*command[: command.index("report")], *again])
    return {
        "folder": folder,
        "load": f'run = iafsweep.load_run("{folder}/trials/{trial}")',
        "train_again": train.replace("run_sweep", "run_single", 1).replace("iafsweep-sweep", "iafsweep-run", 1),
        "compare": shlex.join([*command[: command.index("report")], "compare", folder]),
    }


def _searched(space: SearchSpace, rows: Sequence[LeaderboardRow]) -> tuple[Searched, ...]:
    """Return the searched parameters, then other fields that trials of an earlier version of the space have."""
    known = {parameter.path: parameter for parameter in space.parameters}
    others = sorted({path for row in rows for path in row.parameters} - set(known))
    paths = [*known, *others]
    found = [_axis(parameter, short_name(path, paths)) for path, parameter in known.items()]
    for path in others:
        texts = sorted({value_text(row.parameters[path]) for row in rows if path in row.parameters})
        found.append(Searched(path=path, name=short_name(path, paths), options=tuple(texts)))
    return tuple(found)


def _axis(parameter: Parameter, name: str) -> Searched:
    searched = parameter.range
    if isinstance(searched, Choice):
        options = tuple(value_text(option) for option in searched.options)
        return Searched(path=parameter.path, name=name, options=options)
    return Searched(
        path=parameter.path,
        name=name,
        low=searched.low,
        high=searched.high,
        log=searched.log,
        whole=isinstance(searched.low, int) and isinstance(searched.high, int),
    )


def _tried(row: LeaderboardRow, parameters: Sequence[Searched], cells: Sequence[object]) -> Tried:
    bound = row.validation_negative_elbo
    return Tried(
        trial=row.trial,
        status=row.status,
        rank=row.rank,
        values=tuple(_value(parameter, row.parameters.get(parameter.path)) for parameter in parameters),
        figures=tuple(cell if isinstance(cell, FigureCell) else None for cell in cells),
        bound=bound if bound is not None and math.isfinite(bound) else None,
        epochs=row.epochs,
        best_epoch=row.best_epoch,
        seconds_per_epoch=row.seconds_per_epoch,
        seconds=None if row.training is None else row.training.seconds,
        weights=None if row.training is None else row.training.parameters,
        seed=row.seed,
        pareto=row.pareto or None,
        error=row.error,
        decoder=AUTOREGRESSIVE if row.autoregressive else None,
        latents=row.latents,
    )


def _value(parameter: Searched, value: Value) -> Value:
    """Return a choice's value as the text of its option, and a number unchanged."""
    return value_text(value) if parameter.options is not None and value is not None else value


def _fields(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Value]]:
    """Yield every field of a configuration with its path; lists as text."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, f"{prefix}{name}.")
        elif isinstance(value, Mapping):
            yield from ((f"{prefix}{name}.{key}", value_text(each)) for key, each in value.items())
        else:
            plain = isinstance(value, bool | int | float | str) or value is None
            yield f"{prefix}{name}", value if plain else str(list(value) if isinstance(value, tuple) else value)
