"""Tune's results as a model to use, or as a sweep to rank, score and report; no pickle is read here."""

import json
import math
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pyarrow.fs import LocalFileSystem
from ray.tune import Checkpoint, Result, ResultGrid

from iafsweep.api.run import Run, load_run
from iafsweep.api.sweep import LoadedSweep, load_sweep
from iafsweep.config import RunConfig, get_path
from iafsweep.config.files import read_stored_config
from iafsweep.config.problems import UNSET
from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError, UserError
from iafsweep.records import METRIC, DeviceChoice, TrainingFacts
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import Candidate, candidate
from iafsweep.search_space.distributions import Choice, Scalar
from iafsweep.search_space.space import Parameter, SearchSpace
from iafsweep.sweep.storage.events import Event, Finished, Proposed, Started, now, trial_name
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import begin_with
from iafsweep.texts import counted
from iafsweep.training.checkpoint import check_whole
from iafsweep.tune.param_space import REPEAT, leaves, trial_config
from iafsweep.tune.trial import BASE, copy_files

_ERROR_CHARACTERS = 8000


def load_best(results: ResultGrid, device: DeviceChoice = "auto") -> Run:
    """Return the run with the lowest validation bound, with the weights of its best epoch.

    It compares the best epochs in the newest checkpoints of all trials, including those that were stopped or failed;
    Tune's own ``get_best_result`` compares last reports.

    Args:
        results: what ``Tuner.fit`` or ``Tuner.get_results`` returned.
        device: device of the model.

    Raises:
        UserError: no trial has left a checkpoint with a trained epoch.
        RunFolderError: a checkpoint was removed or is damaged.
    """
    found: list[tuple[float, Checkpoint]] = []
    for result in _each(results):
        with ExitStack() as opened:
            folder = _opened(result, opened)
            best = None if folder is None else folder.read_state().best
            if best is not None and result.checkpoint is not None:
                found.append((best.validation_negative_elbo, result.checkpoint))
    if not found:
        raise _no_checkpoint(results)
    chosen = min(found, key=lambda each: each[0])[1]
    is_here = isinstance(chosen.filesystem, LocalFileSystem)
    return load_run(chosen.path if is_here else chosen.to_directory(), device)


def import_results(results: ResultGrid, to: str | Path) -> LoadedSweep:
    """Make a sweep of Tune's results, for ``rerun``, ``export``, ``report``, ``compare`` and ``load_sweep``.

    The configurations are listed one by one: Tune's space, searcher and scheduler are not translated. A trial is
    ``completed`` if it trained all its epochs, ``stopped`` if Tune ended it before, ``failed`` or ``diverged``. If Tune
    itself was ended, it is unfinished, and ``resume`` continues it. Its figures are those it reported last, its weights
    those of its newest checkpoint.

    Args:
        results: what ``Tuner.fit`` or ``Tuner.get_results`` returned.
        to: a new or empty folder.

    Returns:
        The sweep as :func:`iafsweep.load_sweep` reads it. Trials that ended before their first report are left out,
        and a warning says how many.

    Raises:
        UserError: no trial has left a checkpoint, or the checkpoints have different bases.
        RunFolderError: a checkpoint was removed or is damaged.
        SweepError: the folder is not empty.
    """
    folder = SweepFolder(Path(to).expanduser())
    if folder.path.exists() and not (folder.path.is_dir() and not any(folder.path.iterdir())):
        raise SweepError(f"{to} is not empty; name a new folder for the sweep")
    told = [result for result in _each(results) if METRIC in (result.metrics or {})]
    if left_out := len(results) - len(told):
        warnings.warn(f"left out {counted(left_out, 'trial')} that ended before the first report", stacklevel=2)
    fresh = SweepFolder(folder.path.with_name(f".{folder.path.name}.new"))  # appears whole, or not at all
    with ExitStack() as opened:
        shutil.rmtree(fresh.path, ignore_errors=True)  # left by a killed import
        opened.callback(shutil.rmtree, fresh.path, ignore_errors=True)
        checkpoints = [_opened(result, opened) for result in told]
        space, candidates = _listed(_common_base(checkpoints, results), told)
        fresh.create()
        events: list[Event] = []
        for number, (result, found, run) in enumerate(zip(told, candidates, checkpoints, strict=True), start=1):
            events += _rows(trial_name(number), number, found, result)
            # A population's member may have been given another's checkpoint, and have trained no epoch since.
            if run is not None and run.read_config() == found.config:
                _copy_run(run, RunFolder(fresh.trial(trial_name(number))))
        begin_with(space, fresh, events)
        fresh.path.rename(folder.path)
    return load_sweep(folder.path)


def _each(results: ResultGrid) -> list[Result]:
    if not isinstance(results, ResultGrid | list):
        raise UserError(
            f"results must be what Tuner.fit() returned, got {results!r:.80}; to read an experiment's folder: "
            f"tune.Tuner.restore(path, trainable=...).get_results()"
        )
    return [results[index] for index in range(len(results))]


def _opened(result: Result, opened: ExitStack) -> RunFolder | None:
    """Return the newest checkpoint of a trial, checked to be complete; None if it left none."""
    if result.checkpoint is None:
        return None
    folder = RunFolder(Path(opened.enter_context(result.checkpoint.as_directory())))
    if folder.path.exists() and not (folder.path / BASE).is_file():
        raise UserError(f"{folder.path} is not a checkpoint of iafsweep.tune.trainable: it has no {BASE}")
    check_whole(folder, "last")
    if folder.read_state().best is not None:
        check_whole(folder, "best")
    return folder


def _no_checkpoint(results: ResultGrid) -> UserError:
    return UserError(
        f"none of {counted(len(results), 'trial')} has left a checkpoint with a trained epoch. A trial that completes "
        f"leaves one; to have one from the others too, use run_config=tune.RunConfig("
        f"checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=2))"
    )


def _common_base(checkpoints: Sequence[RunFolder | None], results: ResultGrid) -> RunConfig:
    bases = [read_stored_config(folder.path / BASE) for folder in checkpoints if folder is not None]
    if not bases:
        raise _no_checkpoint(results)
    if any(base != bases[0] for base in bases):
        raise UserError("the trials come from trainables with different bases; import each experiment separately")
    return bases[0]


def _listed(base: RunConfig, results: Sequence[Result]) -> tuple[SearchSpace, list[Candidate]]:
    """Return the space that lists what the trials trained, and each trial's candidate in it."""
    given: list[Mapping[str, Any]] = [dict(leaves(result.config or {})) for result in results]
    configs = [trial_config(base, values) for values in given]
    # A space needs a parameter: if Tune searched none, list one with only the base's value.
    paths = dict.fromkeys(path for values in given for path in values if path != REPEAT) or ["training.learning_rate"]
    parameters, points = [], [dict[str, Scalar]() for _ in configs]
    for path in paths:
        values = [UNSET if (value := get_path(config, path)) is None else value for config in configs]
        parameters.append(Parameter(path, Choice(tuple(dict.fromkeys(values)))))
        for point, value in zip(points, values, strict=True):
            point[path] = json.dumps(value) if isinstance(value, tuple) else value
    sweep = SweepConfig(trials=len(results), seed=base.training.seed, sampler="listed", scheduler="none")
    first = tuple(point for index, point in enumerate(points) if point not in points[:index])
    space = SearchSpace(base=base, parameters=tuple(parameters), sweep=sweep, first=first)
    found = [candidate(space, point, repeat=values.get(REPEAT, 0)) for point, values in zip(points, given, strict=True)]
    return space, [each for each in found if each is not None]  # none is left out: all passed the rules above


def _rows(name: str, number: int, found: Candidate, result: Result) -> Iterator[Event]:
    """Yield a trial's rows in the ledger."""
    yield Proposed(trial=name, number=number, **found.proposal, time=now())
    yield Started(trial=name, time=now())
    told, error = result.metrics or {}, result.error
    if not told.get("done") and error is None:
        return
    status = "failed" if error is not None else "stopped" if told["status"] == "running" else told["status"]
    facts = {each: told[each] for each in TrainingFacts.model_fields if each in told}
    yield Finished(
        trial=name,
        status=status,
        epochs=told["epoch"] - (status == "diverged"),
        value=told[METRIC] if math.isfinite(told[METRIC]) else None,
        best_epoch=told.get("best_epoch"),
        best_value=told.get("best_value"),
        **facts | {"seconds": told["training_seconds"]},  # in `told`, `seconds` are the last epoch's
        gpu_seconds=told["training_seconds"] * told["gpus"],
        device=told["device"],
        error="" if error is None else str(error)[-_ERROR_CHARACTERS:],
        time=now(),
    )


def _copy_run(checkpoint: RunFolder, to: RunFolder) -> None:
    copy_files(checkpoint, to)
    if (state := to.read_state()).status == "running":
        to.write_state(state.model_copy(update={"status": "interrupted"}))
