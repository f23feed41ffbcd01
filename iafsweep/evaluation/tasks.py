"""Tasks: the smallest units of an evaluation: a pilot, a shard, or a shard of a sandwich.

A task's name contains a hash of everything that its result depends on besides the model and the images, so that a
result stored under that name never has to be computed again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from iafsweep.config import EvaluationConfig, HaisSettings, RunConfig, Start
from iafsweep.estimators.annealing import gradient_evaluations
from iafsweep.evaluation.scoring import FrozenStepSize, score_shard, tune_on_test_images
from iafsweep.evaluation.shards import Shard, ShardResult
from iafsweep.evaluation.simulated import SandwichResult, SimulatedShard, squeeze, tune_on_simulated_images
from iafsweep.models import VAE
from iafsweep.records import Record, Split


class PilotWork(Record):
    """A pilot, which finds the step size of annealing from a start.

    Attributes:
        start: start of the chains.
        on: test images, or images simulated from the model.
        images: number of images: ``hais.pilot_images``, or all of a run that scores fewer. Scoring more images thus
            changes neither the pilot nor the names of the tasks that need it.
        binarisation_seed: binarisation seed of the test images.
    """

    start: Start
    on: Literal["test", "simulated"]
    images: int
    binarisation_seed: int


Work = PilotWork | Shard | SimulatedShard
Result = FrozenStepSize | ShardResult | SandwichResult


@dataclass(frozen=True)
class Task:
    """A unit of work.

    Attributes:
        name: contains a hash of the work, the settings it depends on, the source of the images, and the name of the
            task it needs.
        label: short description for people.
        work: what to do.
        config: settings, and whether and how images are binarised.
        needs: name of the task that finds its step size; None if it needs none.
        evaluations: network evaluations that it takes (samples x images), for progress.
    """

    name: str
    label: str
    work: Work
    config: RunConfig
    needs: str | None
    evaluations: int


def make_task(label: str, work: Work, config: RunConfig, pilot: Task | None = None) -> Task:
    """Return a task with its name.

    ``pilot`` is the task that finds its step size, if it needs one.
    """
    evaluation = config.evaluation
    needs = None if pilot is None else pilot.name
    place = "pilot" if isinstance(work, PilotWork) else f"{work.first}-{work.first + work.count}"
    settings: dict[str, Any] = {
        "work": work.model_dump(),
        "source": config.data.source if config.data.images is None else config.data.images.test_checksum,
        "seed": evaluation.seed,
        "needs": needs,
    }
    if not isinstance(work, Shard) or work.method == "hais":
        # Resolved, so that names depend on the value of a default and not on whether it is written out. The number of
        # images of a pilot is part of its work.
        settings["hais"] = _resolved_for(work, evaluation)._asdict()
        del settings["hais"]["pilot_images"]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{label.replace(' ', '-')}.{place}.{digest}.json"
    return Task(name, label, work, config, needs, _evaluations(work, evaluation))


def perform(model: VAE, images: Mapping[Split, Tensor], task: Task, needed: FrozenStepSize | None) -> Result:
    """Perform a task.

    ``images`` holds the images of each split, uint8 [N, X...], on the model's device; ``needed`` is the result of the
    task that this one needs.

    Raises:
        ValueError: the task needs a step size but has none.
    """
    work, evaluation = task.work, task.config.evaluation
    if isinstance(work, PilotWork):
        if work.on == "test":
            return tune_on_test_images(model, images["test"][: work.images], task.config, work.binarisation_seed)
        return tune_on_simulated_images(model, work.images, work.start, evaluation)
    step_size = None if needed is None else needed.step_size
    if isinstance(work, Shard):
        part = images[work.split][work.first : work.first + work.count]
        return score_shard(model, part, work, task.config, step_size)
    if step_size is None:
        raise ValueError(f"{task.name} needs the step size that {task.needs} finds; perform that task first")
    return squeeze(model, work, evaluation, step_size)


def read_result(task: Task, text: str) -> Result:
    """Parse a task's result from JSON.

    Raises:
        pydantic.ValidationError: the text is not such a result.
    """
    if isinstance(task.work, PilotWork):
        return FrozenStepSize.model_validate_json(text)
    if isinstance(task.work, Shard):
        return ShardResult.model_validate_json(text)
    return SandwichResult.model_validate_json(text)


def _resolved_for(work: Work, evaluation: EvaluationConfig) -> HaisSettings:
    """Return the resolved settings of annealing from the work's own start."""
    return evaluation.hais.resolved(None if isinstance(work, Shard) else work.start)


def _evaluations(work: Work, evaluation: EvaluationConfig) -> int:
    hais = _resolved_for(work, evaluation)
    chain = gradient_evaluations(hais.temperatures, hais.leapfrog_steps)
    if isinstance(work, Shard):
        return work.count * work.samples * (chain if work.method == "hais" else 1)
    if isinstance(work, PilotWork):
        return work.images * hais.chains * hais.pilot_passes * chain
    return 2 * work.count * hais.chains * chain
