"""The rerun: the best trials scored on the test images, shard by shard, each shard a file that is made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.evaluation.figures import summarise, write_per_image
from iafsweep.evaluation.report import Job, beside, plan_jobs
from iafsweep.evaluation.scoring import FrozenStepSize, score_shard, tune
from iafsweep.evaluation.shards import Shard, ShardResult, plan_shards
from iafsweep.records import Estimate, Evaluation, Method
from iafsweep.sweep.cluster import Plan
from iafsweep.sweep.folder import SweepFolder
from iafsweep.sweep.rerun import Unit, UnitProgress, UnitsOutcome, run_units
from iafsweep.training import RunFolder, load_trained_model


@dataclass(frozen=True)
class ScoringTask:
    """What a worker is told.

    Attributes:
        run: the trial's run folder.
        config: its configuration, with the evaluation that was asked for.
        shard: what to score; None: find the step size of HAIS.
        images: how many test images HAIS scores, for the pilot to choose from.
        pilot: name of the unit that finds the step size; None where none is needed.
    """

    run: Path
    config: RunConfig
    shard: Shard | None
    images: int
    pilot: str | None = None


class ScoringWorker:
    """Scores shards in one process and keeps the model of the last one.

    Args:
        images: test images, uint8 [N, X...].
        device: where to compute.
    """

    def __init__(self, images: Tensor, device: torch.device) -> None:
        self._images = images.to(device)
        self._device = device
        self._model_of: Path | None = None

    def run(self, payload: ScoringTask, needed: Mapping[str, str]) -> str:
        """Return a `ShardResult`, or for a pilot a `FrozenStepSize`, as JSON."""
        config = payload.config
        if self._model_of != payload.run:
            folder = RunFolder(payload.run)
            self._model = load_trained_model(folder, config.evaluation.checkpoint, self._device).model
            self._model.requires_grad_(requires_grad=False)
            self._model_of = payload.run
        seed = config.data.binarisation_seed
        if payload.shard is None:
            return tune(self._model, self._images[: payload.images], config.evaluation, seed).model_dump_json()
        step_size = None
        if payload.pilot is not None:
            step_size = FrozenStepSize.model_validate_json(needed[payload.pilot]).step_size
        shard = payload.shard
        part = self._images[shard.first : shard.first + shard.count]
        return score_shard(self._model, part, shard, config.evaluation, seed, step_size).model_dump_json()


@dataclass(frozen=True)
class Finalist:
    """A trial to be scored, and the units that its figures are made of.

    Attributes:
        trial: the trial's name.
        run: its run folder.
        config: its configuration, with the evaluation that was asked for.
        jobs: the figures to be made.
        units: of every job: its shards, in order.
        pilot: the unit that finds HAIS's step size, None without HAIS.
    """

    trial: str
    run: RunFolder
    config: RunConfig
    jobs: tuple[Job, ...]
    units: Mapping[Method, tuple[Unit, ...]]
    pilot: Unit | None

    @property
    def all_units(self) -> list[Unit]:
        """Every unit, the pilot first: others wait for it."""
        pilots = [] if self.pilot is None else [self.pilot]
        return pilots + [unit for units in self.units.values() for unit in units]


def plan_finalist(trial: str, folder: SweepFolder, evaluation: EvaluationConfig, test_images: int) -> Finalist:
    """Return what has to be done to score a trial on the test images.

    Args:
        trial: the trial's name.
        folder: the sweep folder.
        evaluation: the settings to score with.
        test_images: how many test images there are.

    Raises:
        RunFolderError: its run folder or checkpoint cannot be read.
    """
    run = RunFolder(folder.trial(trial))
    config = run.read_config().model_copy(update={"evaluation": evaluation})
    checkpoint = run.checkpoint_digest(evaluation.checkpoint)
    jobs = tuple(plan_jobs(config, {"test": test_images}))
    pilot = None
    if any(job.method == "hais" for job in jobs):
        images = next(job.images for job in jobs if job.method == "hais")
        name = f"{trial}.pilot.{_digest(checkpoint, config, 'hais', images)}.json"
        pilot = Unit(name, ScoringTask(run.path, config, None, images))
    units = {}
    for job in jobs:
        needed = pilot if job.method == "hais" else None
        digest = _digest(checkpoint, config, job.method, job.images if job.method == "hais" else None)
        units[job.method] = tuple(
            _shard_unit(trial, run, config, shard, job.images, needed, digest)
            for shard in plan_shards(job.method, job.split, job.images)
        )
    return Finalist(trial, run, config, jobs, units, pilot)


def score_finalists(
    finalists: Sequence[Finalist], folder: SweepFolder, images: Tensor, plan: Plan, progress: UnitProgress
) -> UnitsOutcome:
    """Score trials and write ``evaluation.json`` and ``per_image.parquet`` into the run folder of each that is done.

    Args:
        finalists: from :func:`plan_finalist`, the best first.
        folder: the sweep folder.
        images: all test images, uint8 [N, X...].
        plan: how many processes, with what.
        progress: hears of each unit done.

    Raises:
        SweepError: another driver holds the folder, or processes keep dying.
    """
    units = [unit for finalist in finalists for unit in finalist.all_units]
    outcome = run_units(units, folder, images, ScoringWorker, plan, progress)
    for finalist in finalists:
        if all(unit.name in outcome.results for unit in finalist.all_units):
            _write_evaluation(finalist, outcome.results, "cuda" if plan.gpus else "cpu")
    return outcome


def _shard_unit(
    trial: str, run: RunFolder, config: RunConfig, shard: Shard, images: int, pilot: Unit | None, digest: str
) -> Unit:
    last = shard.first + shard.count
    name = f"{trial}.{shard.method}.{shard.split}.{shard.first}-{last}.{digest}.json"
    pilot_name = None if pilot is None else pilot.name
    task = ScoringTask(run.path, config, shard, images, pilot_name)
    return Unit(name, task, () if pilot_name is None else (pilot_name,))


def _write_evaluation(finalist: Finalist, results: Mapping[str, str], device: str) -> None:
    evaluation, seed = finalist.config.evaluation, finalist.config.data.binarisation_seed
    step_size = None
    if finalist.pilot is not None:
        step_size = FrozenStepSize.model_validate_json(results[finalist.pilot.name]).step_size
    estimates: list[Estimate] = []
    everything: list[ShardResult] = []
    for job in finalist.jobs:
        shards = [ShardResult.model_validate_json(results[unit.name]) for unit in finalist.units[job.method]]
        if job.method == "hais":
            estimates += beside(everything, job.images, evaluation, seed)
        estimates.append(summarise(shards, evaluation, seed, step_size if job.method == "hais" else None))
        everything += shards
    state = finalist.run.read_state()
    best = state.best
    write_per_image(finalist.run.per_image, everything)
    finalist.run.write_evaluation(
        Evaluation(
            checkpoint=evaluation.checkpoint,
            epoch=best.epoch if best is not None and evaluation.checkpoint == "best" else state.epochs,
            parameters=state.parameters,
            device=device,
            estimates=tuple(estimates),
        )
    )


def _digest(checkpoint: str, config: RunConfig, method: Method, images: int | None) -> str:
    """Hash of all that a shard's figures depend on besides its images."""
    evaluation = config.evaluation
    settings: dict[str, Any] = {
        "checkpoint": checkpoint,
        "source": config.data.source,
        "binarisation_seed": config.data.binarisation_seed,
        "seed": evaluation.seed,
    }
    if method == "importance_sampling":
        settings["samples"] = evaluation.importance_sampling.samples
    if method == "hais":
        settings["hais"] = evaluation.hais.model_dump(exclude={"enabled", "images"})
        # The pilot chooses among so many images, and every weight depends on the step size it finds.
        settings["pilot_images"] = min(evaluation.hais.pilot_images, images or 0)
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
