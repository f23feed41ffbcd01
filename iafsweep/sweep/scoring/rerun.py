"""The rerun: the best trials scored on the test images, task by task, each task a file that is made once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.data.fingerprint import refuse_other_images
from iafsweep.evaluation.evaluate import Scores, assemble, plan_jobs, write_images
from iafsweep.evaluation.jobs import Job, SandwichJob, Scored, kind_of, measure
from iafsweep.evaluation.previous import Earlier, lost, read_earlier, with_earlier
from iafsweep.evaluation.scoring import FrozenStepSize
from iafsweep.evaluation.tasks import Task, perform, read_result
from iafsweep.models import folded
from iafsweep.records import Evaluation, FigureKind, Fingerprint, Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.cluster.actor_pool import Unit, UnitProgress, UnitsOutcome, run_units
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.scoring.cost import CostAhead, telling_first
from iafsweep.sweep.scoring.selection import saved_epoch
from iafsweep.sweep.storage.folder import TRIAL_SECONDS, SweepFolder
from iafsweep.training import load_trained_model
from iafsweep.training.checkpoint import check_whole, checkpoint_digest
from iafsweep.training.device import keep_freed_memory
from iafsweep.training.run_log import add_test_figures


@dataclass(frozen=True)
class ScoringTask:
    """What a worker is told."""

    run: Path
    checkpoint: Literal["best", "last"]
    task: Task


class ScoringWorker:
    """Does tasks in one process and keeps the model of the last one.

    ``images`` are test images, uint8 [N, X...].
    """

    def __init__(self, images: Tensor, device: torch.device) -> None:
        self._images = images.to(device)
        self._device = device
        keep_freed_memory(device)
        self._model_of: tuple[Path, str] | None = None

    def run(self, payload: ScoringTask, needed: Mapping[str, str]) -> str:
        """Return the result of a task as JSON."""
        if self._model_of != (payload.run, payload.checkpoint):
            self._model = folded(load_trained_model(RunFolder(payload.run), payload.checkpoint, self._device).model)
            self._model_of = payload.run, payload.checkpoint
        step_size = next((FrozenStepSize.model_validate_json(text) for text in needed.values()), None)
        return perform(self._model, {"test": self._images}, payload.task, step_size).model_dump_json()


@dataclass(frozen=True)
class Finalist:
    """A trial to be scored.

    ``config`` has the evaluation that was asked for, ``jobs`` are the figures to be made, on ``images``. ``digest``
    (which stands in the name of every unit), ``epoch`` and ``parameters`` are the checkpoint's.
    """

    trial: str
    run: RunFolder
    config: RunConfig
    jobs: tuple[Job | SandwichJob, ...]
    digest: str
    epoch: int
    parameters: int
    images: Fingerprint

    @property
    def first_tasks(self) -> int:
        """How many tasks there are to begin with; searches for a small error may add to them."""
        return sum(len(measure(job, self.config).tasks()) for job in self.jobs)

    def unit(self, task: Task) -> Unit:
        """Return a task as a unit of the rerun."""
        checkpoint = self.config.evaluation.checkpoint
        needs = () if task.needs is None else (self.name(task.needs),)
        return Unit(self.name(task.name), ScoringTask(self.run.path, checkpoint, task), needs, task.evaluations)

    def name(self, task: str) -> str:
        """Return the name of a task's result file."""
        return f"{self.trial}.{self.digest}.{task}"


def plan_finalist(
    trial: str,
    folder: SweepFolder,
    evaluation: EvaluationConfig,
    images: Mapping[Split, Fingerprint],
    asked: Collection[FigureKind] | None = None,
) -> Finalist:
    """Return what has to be done to score a trial on the test images.

    ``asked`` are figures that are made whatever there is; of others those that the trial has are kept as they are.
    None: all are made.

    Raises:
        DataError: it was trained, validated or tested on other images.
        RunFolderError: its run folder, its state or its checkpoint is missing or damaged.
    """
    run = RunFolder(folder.trial(trial))
    config = run.read_config().model_copy(update={"evaluation": evaluation})
    digest = checkpoint_digest(run, evaluation.checkpoint)[:16]
    check_whole(run, evaluation.checkpoint)
    state = run.read_state()
    refuse_other_images(run.path, state.images, images)
    there = set() if asked is None else _kinds_there(run, digest) - set(asked)
    return Finalist(
        trial=trial,
        run=run,
        config=config,
        jobs=tuple(job for job in plan_jobs(config, {"test": images["test"].count}) if kind_of(job) not in there),
        digest=digest,
        epoch=saved_epoch(state, evaluation.checkpoint),
        parameters=state.parameters,
        images=images["test"],
    )


def _kinds_there(run: RunFolder, digest: str) -> set[FigureKind]:
    """The figures that a trial has of this checkpoint."""
    earlier = read_earlier(run)
    if earlier is None or earlier.evaluation.checkpoint_digest != digest:
        return set()
    bounded: set[FigureKind] = {"sandwich"} if earlier.evaluation.sandwiches else set()
    return bounded | earlier.methods


def score_finalists(
    finalists: Sequence[Finalist],
    folder: SweepFolder,
    images: Tensor,
    plan: Plan,
    progress: UnitProgress,
    say: Callable[[str], None],
    foretell: Callable[[str], None] = lambda text: None,
) -> UnitsOutcome:
    """Score trials; ``evaluation.json`` and the figures of each image go into the run folder of each that is done.

    All figures of all trials go on side by side, each round when the one before is done; most have but one. Figures of
    the same checkpoint that were measured earlier stay beside them, whatever they were measured with. ``finalists``
    come best first. ``progress`` hears of each unit done; searches for a small error add to the units there are.
    ``say`` hears a line on each earlier figure that cannot be kept, ``foretell`` how long it takes where that is long.

    Raises:
        SweepError: another driver holds the folder, or processes keep dying.
    """
    runs = [_Run(finalist, job) for finalist in finalists for job in finalist.jobs]
    kind = "cuda" if plan.gpus else "cpu"
    planned = _in_order(runs)
    ahead = CostAhead({unit.name: task for unit, task in planned}, plan.at_a_time, foretell)

    def following(outcome: UnitsOutcome) -> list[Unit]:
        ahead.hear(outcome.results)
        units = []
        for run in runs:
            if run.take(outcome):
                units += run.units()
                beside = [each for each in runs if each.finalist is run.finalist]
                if not any(each.measurement.tasks() for each in beside):
                    with folder.trial_lock(run.finalist.trial, TRIAL_SECONDS):
                        devices = {device for each in beside for device in each.devices}
                        _write(run.finalist, [each.measurement.scored for each in beside], devices, kind, say)
        return units

    return run_units([unit for unit, _ in planned], folder, images, ScoringWorker, plan, progress, following)


def _in_order(runs: Sequence["_Run"]) -> list[tuple[Unit, Task]]:
    """What all begin with: soon what tells how long it takes, then trial by trial, of each the longest tasks first.

    Where the longest came last, one process would do it while the others have nothing left to do.
    """
    by_trial: dict[str, list[tuple[Unit, Task]]] = {}
    for run in runs:
        tasks = run.measurement.tasks()
        by_trial.setdefault(run.finalist.trial, []).extend((run.finalist.unit(task), task) for task in tasks)
    planned = [
        pair
        for pairs in by_trial.values()
        for pair in sorted(pairs, key=lambda pair: pair[1].evaluations, reverse=True)
    ]
    return [planned[place] for place in telling_first([task for _, task in planned])]


class _Run:
    """A measurement of a finalist's figure.

    Attributes:
        devices: where those of its tasks were done that this rerun did.
    """

    def __init__(self, finalist: Finalist, job: Job | SandwichJob) -> None:
        self.finalist = finalist
        self.measurement = measure(job, finalist.config)
        self.devices: set[str] = set()

    def units(self) -> list[Unit]:
        return [self.finalist.unit(task) for task in self.measurement.tasks()]

    def take(self, outcome: UnitsOutcome) -> bool:
        """Go on if the results of all tasks are there; returns whether they were."""
        tasks = self.measurement.tasks()
        names = {task.name: self.finalist.name(task.name) for task in tasks}
        if not names or not all(name in outcome.results for name in names.values()):
            return False
        self.devices |= {outcome.devices[name] for name in names.values() if name in outcome.devices}
        self.measurement.take({task.name: read_result(task, outcome.results[names[task.name]]) for task in tasks})
        return True


def _write(finalist: Finalist, scored: Sequence[Scored], used: set[str], kind: str, say: Callable[[str], None]) -> None:
    earlier = read_earlier(finalist.run)
    scores = _with_earlier(finalist, assemble(scored), earlier, say)
    devices = " and ".join(sorted(used))
    if not devices:  # an earlier rerun did it all, and said where, unless it was killed before it could
        said = None if earlier is None else earlier.evaluation
        devices = said.device if said is not None and said.checkpoint_digest == finalist.digest else kind
    write_images(finalist.run, scores)
    found = Evaluation(
        checkpoint=finalist.config.evaluation.checkpoint,
        epoch=finalist.epoch,
        parameters=finalist.parameters,
        device=devices,
        estimates=scores.estimates,
        sandwiches=scores.sandwiches,
        checkpoint_digest=finalist.digest,
    )
    path = finalist.run.evaluation
    before = path.read_bytes() if path.exists() else None
    finalist.run.write_evaluation(found)
    finalist.run.tested_on(finalist.images)
    if path.read_bytes() != before:  # a rerun that finds everything done adds no further event file
        add_test_figures(finalist.run.tensorboard, found)


def _with_earlier(finalist: Finalist, scores: Scores, earlier: Earlier | None, say: Callable[[str], None]) -> Scores:
    """New scores beside the earlier figures of the same checkpoint."""
    if earlier is None:
        return scores
    digest = earlier.evaluation.checkpoint_digest
    if digest != finalist.digest:
        why = "another checkpoint" if digest else "an earlier version, which did not say of which checkpoint"
        for figure in lost(scores, earlier):
            say(f"{finalist.trial}: {figure} is of {why}: not kept")
        return scores
    return with_earlier(scores, earlier)
