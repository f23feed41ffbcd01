"""Score the best trials of a sweep on the test images, in `rerun` and at the end of a launch."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from iafsweep.api.news import Place
from iafsweep.api.own_images import space_with_images
from iafsweep.api.results import SweepResults, publish_results
from iafsweep.api.scoring.asked import Asked, refuse_budget_alone
from iafsweep.api.settings import with_sweep
from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.config.sweep import SweepConfig
from iafsweep.data import load_test_images, load_training_images
from iafsweep.data.fingerprint import fingerprint, unknown_images
from iafsweep.errors import ConfigError, RunFolderError, UserError
from iafsweep.records import FigureKind, Fingerprint, Split
from iafsweep.shown_command import run_command, sweep_command
from iafsweep.sweep.cluster.resources import plan_trials
from iafsweep.sweep.scoring.rerun import Finalist, plan_finalist, score_finalists
from iafsweep.sweep.scoring.selection import best_trials, scored_epoch
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import TrialState
from iafsweep.sweep.storage.stored_sweep import StoredSweep, read_sweep


def rerun(
    folder: Path, changes: Mapping[str, object], asked: Asked, place: Place, trials: Sequence[str] = ()
) -> tuple[int, SweepResults]:
    """Score the best or the named trials again, with other settings or more of them, and publish the results.

    Args:
        folder: the sweep folder.
        changes: changed sweep settings, see :func:`with_sweep`: number of trials to score, resources of each process.
        asked: the requested evaluation settings. Figures that they affect are measured again; other existing figures
            are kept.
        place: what the scoring runs on.
        trials: names of the trials to score; none: the best.

    Returns:
        The exit code of :func:`score_best`, and what was published.

    Raises:
        UserError: a driver is at work, the request leaves nothing to score, a named trial has not completed, or this
            machine lacks what a process asks for.
    """
    options, news = place.options, place.news
    sweep = read_sweep(SweepFolder(folder))
    settings = with_sweep(sweep.space, changes).sweep
    sweep.folder.refuse_if_driven()
    evaluation = _evaluation(sweep.space.base, asked)
    if not settings.top and not trials:
        asked_for = sweep_command("rerun", sweep.folder.path, "--top", 5)
        raise UserError(f"the sweep's `top` is 0, so there is nothing to score; say how many to score: {asked_for}")
    has_work = bool(best_trials(sweep.state, 1))
    if not has_work:
        news.message("No trial has completed, so there is nothing to score.")
    elif options.address is None:
        plan_trials([options.node], settings, len(trials) or settings.top, may_grow=options.wait)
    if has_work:
        place = replace(place, images=space_with_images(sweep.space, place.images)[1])
        news.message(options.starting)
    with options.ray() if has_work else nullcontext():
        code = score_best(sweep, settings, evaluation, place, asked.figures, trials)
    return code, publish_results(sweep, news.report_command(sweep.folder.path))


def _evaluation(base: RunConfig, asked: Asked) -> EvaluationConfig:
    evaluation, scored = asked.of(base), base.evaluation.checkpoint
    refuse_budget_alone(asked.values, evaluation.until_error.target)
    if evaluation.checkpoint != scored:
        raise UserError(
            f"evaluation.checkpoint={evaluation.checkpoint}: the sweep ranks and scores {scored}.pt, and figures of "
            f"another checkpoint do not belong on its leaderboard; leave this setting out"
        )
    return evaluation


def score_best(
    sweep: StoredSweep,
    settings: SweepConfig,
    evaluation: EvaluationConfig,
    place: Place,
    asked: Collection[FigureKind] | None = None,
    trials: Sequence[str] = (),
) -> int:
    """Score the best or the named trials of a sweep on the test images.

    Ray need not run yet.

    Args:
        sweep: the sweep.
        settings: number of trials to score, and resources of each process.
        evaluation: the evaluation settings.
        place: what the scoring runs on; with your own images or their path, if the sweep uses such.
        asked: figures that are measured even if they exist, see :func:`plan_finalist`.
        trials: names of the trials to score; none: the best.

    Returns:
        0; 1 if no trial ended well or one could not be scored; 128 plus the signal's number if it was interrupted.
    """
    options, news = place.options, place.news
    ranked = best_trials(sweep.state, len(sweep.state.trials))
    top = len(trials) or settings.top
    for name in trials:
        sweep.folder.refuse_unknown(name, sorted(each.trial for each in ranked))
    ranked = tuple(each for each in ranked if not trials or each.trial in trials)
    if not ranked or not top:
        ends = {trial.finished.status for trial in sweep.state.finished if trial.finished is not None}
        return 1 if ends and not ends & {"completed", "stopped"} else 0  # 1 if trials have ended, but none well
    data = sweep.space.base.data
    own = space_with_images(sweep.space, place.images)[1]
    test = load_test_images(data, place.data_root, own)
    images = load_training_images(data, place.data_root, own).fingerprints | {"test": fingerprint(test)}
    finalists: list[Finalist] = []
    for trial in ranked:
        try:
            finalists.append(_finalist(trial, sweep, evaluation, images, asked))
        except (RunFolderError, ConfigError) as problem:  # its folder was removed or damaged; the next best is scored
            news.problem(f"{trial.trial} cannot be scored: {problem}")
        if len(finalists) == top:
            break
    if not finalists:
        return 1
    finalists = [finalist for finalist in finalists if finalist.jobs]
    if not finalists:
        news.message("All requested figures exist already; nothing is left to score.")
        return 0
    if unknown := [finalist.trial for finalist in finalists if not finalist.run.read_fingerprints()]:
        news.message(f"Note: {unknown_images(', '.join(unknown), data.source)}")
    units = sum(finalist.first_tasks for finalist in finalists)
    messages: list[str] = []
    with options.ray() as nodes:
        plan = plan_trials(nodes, settings, units, may_grow=options.wait)
        with news.scoring([finalist.trial for finalist in finalists], named=bool(trials)) as progress:
            outcome = score_finalists(finalists, sweep.folder, test, plan, progress, messages.append, news.message)
    for line in _failed(outcome.errors):
        news.problem(line)
    for line in messages:
        news.message(line)
    news.scored({finalist.trial: finalist.run for finalist in finalists})
    if outcome.stopped:
        return 128 + (outcome.signal or 2)
    return 1 if outcome.errors else 0


def _failed(errors: Mapping[str, str]) -> list[str]:
    """Return each error once, with its first unit: what is wrong with a trial fails all its units in the same way."""
    units: dict[str, list[str]] = {}
    for name, error in errors.items():
        units.setdefault(error, []).append(name)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {error}"
        for error, names in units.items()
    ]


def _finalist(
    trial: TrialState,
    sweep: StoredSweep,
    evaluation: EvaluationConfig,
    images: Mapping[Split, Fingerprint],
    asked: Collection[FigureKind] | None,
) -> Finalist:
    """Plan the scoring of a trial.

    Raises:
        RunFolderError, ConfigError: a file in its folder is missing or damaged, or the run was trained further by hand.
    """
    finalist = plan_finalist(trial.trial, sweep.folder, evaluation, images, asked)
    assert trial.finished is not None
    if finalist.epoch != (epoch := scored_epoch(trial.finished, sweep.space)):
        raise RunFolderError(
            f"{finalist.run.path} was trained further: {evaluation.checkpoint}.pt is from epoch {finalist.epoch}, but "
            f"its leaderboard row is from epoch {epoch}; score it as a single run: "
            f"{run_command('--run', finalist.run.path, '--evaluate-only')}"
        )
    return finalist
