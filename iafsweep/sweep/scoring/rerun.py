"""The rerun: scores the best trials on the test images, in tasks whose result files are computed only once."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.data.fingerprint import refuse_other_images
from iafsweep.evaluation.evaluate import Scores, assemble, plan_jobs, write_images
from iafsweep.evaluation.jobs import Job, SandwichJob, Scored, kind_of, measure
from iafsweep.evaluation.previous import Earlier, lost, read_earlier, with_earlier
from iafsweep.evaluation.tasks import Task, read_result
from iafsweep.records import Evaluation, FigureKind, Fingerprint, Split
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.cluster.actor_pool import Unit, UnitProgress, UnitsOutcome, run_units
from iafsweep.sweep.cluster.resources import Plan
from iafsweep.sweep.scoring.cost import CostAhead, telling_first
from iafsweep.sweep.scoring.selection import saved_epoch
from iafsweep.sweep.scoring.worker import ScoringTask, ScoringWorker
from iafsweep.sweep.storage.folder import TRIAL_SECONDS, SweepFolder
from iafsweep.training.checkpoint import check_whole, checkpoint_digest
from iafsweep.training.run_log import add_test_figures


@dataclass(frozen=True)
class Finalist:
    """A trial to be scored.

    ``config`` holds the requested evaluation; ``jobs`` are the figures to compute, on ``images``. ``digest`` (part of
    the name of every unit), ``epoch`` and ``parameters`` (their number) describe the checkpoint.
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
        """Number of tasks in the first round; searches for a small error may add more."""
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
    """Return the work that scores a trial on the test images.

    Figures in ``asked`` are computed in any case; others only if the trial does not have them yet. None: all are
    computed.

    Raises:
        DataError: the trial was trained, validated or tested on other images.
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
    """Return the kinds of figures that a trial already has for this checkpoint."""
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
    """Score trials and write ``evaluation.json`` and the figures per image to the run folder of each that is done.

    All figures of all trials are computed concurrently; a figure's rounds (mostly one) follow each other. Earlier
    figures of the same checkpoint are kept, whatever their settings. ``finalists`` are ordered best first. ``progress``
    is called after each unit; searches for a small error add units. ``say`` is called with a line on each earlier
    figure that cannot be kept, ``foretell`` with the expected duration if that is long.

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
    """Return the first tasks of all runs: those that show the cost early, then trial by trial, longest tasks first.

    If the longest task came last, one process would run it while the others are idle.
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
    """The measurement of one figure of a finalist.

    Attributes:
        devices: devices of its tasks, as far as this rerun did them.
    """

    def __init__(self, finalist: Finalist, job: Job | SandwichJob) -> None:
        self.finalist = finalist
        self.measurement = measure(job, finalist.config)
        self.devices: set[str] = set()

    def units(self) -> list[Unit]:
        return [self.finalist.unit(task) for task in self.measurement.tasks()]

    def take(self, outcome: UnitsOutcome) -> bool:
        """Move on to the next round if the results of all tasks are there; return whether they were."""
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
    if not devices:  # an earlier rerun did all tasks, and recorded where unless it was killed before
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
    if path.read_bytes() != before:  # a rerun that has nothing left to do adds no event file
        add_test_figures(finalist.run.tensorboard, found)


def _with_earlier(finalist: Finalist, scores: Scores, earlier: Earlier | None, say: Callable[[str], None]) -> Scores:
    """Return new scores together with the earlier figures of the same checkpoint."""
    if earlier is None:
        return scores
    digest = earlier.evaluation.checkpoint_digest
    if digest != finalist.digest:
        why = (
            "it was computed from another checkpoint" if digest else "an earlier version did not record its checkpoint"
        )
        for figure in lost(scores, earlier):
            say(f"{finalist.trial}: {figure} is not kept: {why}")
        return scores
    return with_earlier(scores, earlier)
