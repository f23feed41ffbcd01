"""The leaderboard rows of a sweep: training results from the ledger, test figures from the rerun."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from iafsweep.config import DECODERS, ENCODERS, get_path
from iafsweep.errors import RunFolderError, UserError
from iafsweep.records import (
    EpochMetrics,
    Evaluation,
    Figure,
    LeaderboardRow,
    TrainingFacts,
    TrialStatus,
    sandwich_beside,
    shown_figures,
)
from iafsweep.records.trust import settling_of
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.scoring.retrain import parameters_key, retrained_figures, retrainings
from iafsweep.sweep.scoring.selection import has_own, scored_checkpoint, scored_epoch
from iafsweep.sweep.storage.events import ParameterValue
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.state import LedgerState, TrialState
from iafsweep.sweep.storage.stored_sweep import StoredSweep, read_sweep
from iafsweep.texts import readable_settings


class ScoredRows(NamedTuple):
    """The rows of a sweep's trials.

    Attributes:
        rows: one row per trial, in the order of proposal; those of scored trials have their test figures.
        evaluations: the full figures of each scored trial, by name.
        problems: what could not be read and is left out, one sentence each.
    """

    rows: tuple[LeaderboardRow, ...]
    evaluations: dict[str, Evaluation]
    problems: tuple[str, ...]


def scored_rows(sweep: StoredSweep, show: Sequence[str] = ()) -> ScoredRows:
    """Return one row per trial, with its test figures and those of retrainings; only damaged figures are left out.

    ``show`` are settings of the test figures to show, see :meth:`Estimate.is_shown`; none: the figure on the most
    images, and of several such the lowest.

    Raises:
        UserError: no trial has a test figure with one of these settings.
    """
    return scored_rows_of_each([sweep], show)[0]


def scored_rows_of_each(sweeps: Sequence[StoredSweep], show: Sequence[str] = ()) -> list[ScoredRows]:
    """Do as :func:`scored_rows` for several sweeps; it suffices if one of them has figures with the settings to show.

    Raises:
        UserError: no trial of any sweep has a test figure with one of these settings.
    """
    found = [_scored_rows(sweep, show) for sweep in sweeps]
    _refuse_unknown_settings([each for scored in found for each in scored.evaluations.values()], show)
    return found


def _scored_rows(sweep: StoredSweep, show: Sequence[str]) -> ScoredRows:
    folder, state, space = sweep.folder, sweep.state, sweep.space
    problems, evaluations = list[str](), dict[str, Evaluation]()
    trains = sweep.driver is not None and state.is_open
    rows = [_as_it_stands(row, folder, space, problems, trains=trains) for row in leaderboard_rows(state, space)]
    for row in rows:
        try:
            found = _own_evaluation(folder, state.named[row.trial], space)
        except RunFolderError as error:
            problems.append(f"the test figures of {row.trial} are left out: {error}")
        else:
            if found is not None:
                evaluations[row.trial] = found
    retrained = retrained_figures(_retrained_rows(folder, problems))
    return ScoredRows(
        tuple(
            row.model_copy(
                update=_of_epochs(folder, row)
                | (_test_figures(evaluations[row.trial], show) if row.trial in evaluations else {})
                | {"retrained": retrained.get(parameters_key(row))}
            )
            for row in rows
        ),
        evaluations,
        tuple(problems),
    )


def _of_epochs(folder: SweepFolder, row: LeaderboardRow) -> dict[str, object]:
    """Return median epoch time, training bound and latents of an ended trial, as far as its run folder has them."""
    if row.seconds_per_epoch is None:
        return {}
    try:
        epochs = metrics_file.read(RunFolder(folder.trial(row.trial)).metrics)
    except (RunFolderError, OSError):
        return {}
    seconds = usual_seconds(epochs)
    cost = {} if seconds is None else {"seconds_per_epoch": seconds}
    return cost | _at_best(epochs, row.best_epoch)


def _at_best(epochs: Sequence[EpochMetrics], epoch: int | None) -> dict[str, object]:
    """Return the training bound and the latent variables' share of the bound at an epoch; nothing without it."""
    found = next((each for each in epochs if each.epoch == epoch), None)
    return {} if found is None else {"train_negative_elbo": found.train_negative_elbo, "latents": found.latents}


def _refuse_unknown_settings(evaluations: Iterable[Evaluation], show: Sequence[str]) -> None:
    """Refuse requested settings with which no trial was scored."""
    tested = [each for evaluation in evaluations for each in evaluation.estimates if each.split == "test"]
    chosen = [each for each in tested if each.method != "negative_elbo"]
    for settings in show:
        if not any(each.is_made_with(settings) for each in chosen):
            there = sorted({f"{readable_settings(each.settings)} on {each.images:,} images" for each in chosen})
            raise UserError(
                f"--show {settings!r}: no test figure was measured with these settings; available: "
                f"{'; '.join(there) or 'none'}"
            )


def _own_evaluation(folder: SweepFolder, trial: TrialState, space: SearchSpace) -> Evaluation | None:
    """Return the figures of the checkpoint that belongs to a trial's bound; None if it was not scored.

    The ledger says which checkpoint that is, so that the figures remain when the checkpoint is removed.

    Raises:
        RunFolderError: the figures are damaged, or of another checkpoint.
    """
    run, end = RunFolder(folder.trial(trial.trial)), trial.finished
    if not run.evaluation.exists():
        return None
    found = run.read_evaluation()
    if end is None:
        raise RunFolderError("the trial has not ended")
    if not has_own(found, end, space):
        raise RunFolderError(
            f"they are from {found.checkpoint}.pt at epoch {found.epoch}, but the trial's row is from "
            f"{space.base.evaluation.checkpoint}.pt at epoch {scored_epoch(end, space)}"
        )
    return found


def _as_it_stands(
    row: LeaderboardRow, folder: SweepFolder, space: SearchSpace, problems: list[str], *, trains: bool
) -> LeaderboardRow:
    """Return the row of a trial with its run folder's progress if it has not ended; the ledger only has its start."""
    if row.status not in ("interrupted", "pending"):
        return row
    path, epochs = RunFolder(folder.trial(row.trial)).metrics, list[EpochMetrics]()
    if path.exists():
        try:
            epochs = metrics_file.read(path)
        except (RunFolderError, OSError) as error:
            problems.append(f"the epochs of {row.trial} are left out: {error}")
    bounds = [
        (each.validation_negative_elbo, each.epoch) for each in epochs if each.validation_negative_elbo is not None
    ]
    bound, best_epoch = min(bounds, default=(None, None))
    return row.model_copy(
        update={
            "status": "running" if trains and row.status == "interrupted" else row.status,
            "epochs": len(epochs),
            "best_epoch": best_epoch,
            "validation_negative_elbo": bound,
            "validation_images": None if bound is None else space.base.data.held_out,
            "settling": settling_at(space, row.parameters, best_epoch),
            "training": TrainingFacts(seconds=sum(each.seconds for each in epochs)) if epochs else None,
        }
        | _at_best(epochs, best_epoch)
    )


def _retrained_rows(folder: SweepFolder, problems: list[str]) -> list[tuple[LeaderboardRow, ...]]:
    """Return the rows of each retraining, in order of their beginning; unreadable ones become problems."""
    found = []
    for retraining in retrainings(folder):
        name = retraining.path.relative_to(folder.path).as_posix()
        try:
            sweep = read_sweep(retraining)
            scored = scored_rows(sweep)
        except UserError as error:
            problems.append(f"the figures of {name} are left out: {error}")
            continue
        problems += [f"{name}: {problem}" for problem in (*sweep.damage, *scored.problems)]
        found.append((sweep.state.header.created, name, scored.rows))
    return [rows for _, _, rows in sorted(found, key=lambda each: each[:2])]


def _test_figures(evaluation: Evaluation, show: Sequence[str] = ()) -> dict[str, object]:
    """Return the test figures of a row from the evaluation of its rerun."""
    tested = [each for each in evaluation.estimates if each.split == "test"]
    shown = {method: each for (method, _), each in shown_figures(tested, show).items()}
    figures = {method: Figure.of(each) for method, each in shown.items()}
    hais = shown.get("hais")
    # The HAIS figure may be older than the IS figure shown, and of other bits.
    alike = [
        each
        for each in tested
        if hais is not None and (each.images, each.binarisation_seeds) == (hais.images, hais.binarisation_seeds)
    ]
    beside = shown_figures(alike, show).get(("importance_sampling", "test"))
    gap = None
    if (found := sandwich_beside(hais, evaluation.sandwiches)) is not None:
        gap = Figure(
            value=found.gap,
            error=found.gap_error,
            images=found.images,
            settings=found.hais_settings,
            autoregressive=found.autoregressive,
        )
    return {
        "test_negative_elbo": figures.get("negative_elbo"),
        "nll_importance_sampling": figures.get("importance_sampling"),
        "nll_hais": figures.get("hais"),
        "nll_importance_sampling_on_hais_images": None if beside is None else Figure.of(beside),
        "hais_gap": gap,
    }


def leaderboard_rows(state: LedgerState, space: SearchSpace) -> tuple[LeaderboardRow, ...]:
    """Return a row for every trial, ended or not, in the order of proposal, without ranks and test figures."""
    return tuple(leaderboard_row(trial, space) for trial in state.trials)


def leaderboard_row(trial: TrialState, space: SearchSpace) -> LeaderboardRow:
    """Return a trial's row with what the ledger records of its training."""
    proposed, end = trial.proposed, trial.finished
    data = space.base.data
    found = trial.candidate(space) if trial.afresh else None
    seed = proposed.seed if found is None else found.config.training.seed
    autoregressive = space.is_autoregressive(proposed.parameters)
    if end is None:
        status: TrialStatus = "interrupted" if trial.starts else "pending"
        return LeaderboardRow(
            trial=trial.trial,
            status=status,
            parameters=proposed.parameters,
            seed=seed,
            data=data.measured_on,
            dimensions=data.image_format.dimensions,
            autoregressive=autoregressive,
        )
    return LeaderboardRow(
        trial=trial.trial,
        status=end.status,
        parameters=proposed.parameters,
        epochs=end.epochs,
        best_epoch=end.best_epoch,
        validation_negative_elbo=end.best_value,
        validation_images=None if end.best_value is None else space.base.data.held_out,
        settling=settling_at(space, proposed.parameters, end.best_epoch),
        training=end.facts,
        seconds_per_epoch=(end.seconds - end.compile_seconds) / end.epochs if end.epochs else None,
        gpu_seconds=end.gpu_seconds,
        seed=seed,
        checkpoint=scored_checkpoint(trial.trial, end, space),
        error=end.error.strip().splitlines()[-1] if end.error.strip() else None,
        data=data.measured_on,
        dimensions=data.image_format.dimensions,
        autoregressive=autoregressive,
    )


def settling_at(space: SearchSpace, parameters: Mapping[str, ParameterValue], epoch: int | None) -> float | None:
    """Return batch-norm momentum x steps up to an epoch of a trial; None if irrelevant, or without an epoch."""
    if epoch is None:
        return None

    def value(path: str) -> Any:  # noqa: ANN401 - whatever the field holds
        return parameters.get(path, get_path(space.base, path))

    members = [family.members.get(value(family.path)) for family in (ENCODERS, DECODERS)]  # a plugin's may be unknown
    normalised = any(each is None or each.section is None or each.section.normalised for each in members) or value(
        "model.flow.depth"
    )
    if not normalised or value("model.normalisation") != "batch_norm" or value("training.weight_average"):
        return None
    momentum, batch_size = value("model.batch_norm_momentum"), value("training.batch_size")
    return settling_of(momentum, space.base.data.training_images, batch_size, epoch)


def usual_seconds(epochs: Sequence[EpochMetrics]) -> float | None:
    """Return the median seconds per epoch without the first epoch; None with fewer than two epochs.

    This is wall-clock time, whatever else ran on the machine. The median is robust to epochs that compiled or that
    other processes slowed down, unless these are the majority. The first epoch includes preparations.
    """
    return median(each.seconds for each in epochs[1:]) if len(epochs) > 1 else None
