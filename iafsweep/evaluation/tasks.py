"""A task: the smallest piece of an evaluation, whose result depends on nothing but what it says of itself.

A pilot, a shard, or a shard of a sandwich. A task's name holds a hash of all that its result depends on besides the
model and the images: a result kept under its name never has to be made again.
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
    """Find the step size of annealing from a start.

    Attributes:
        start: where chains start.
        on: test images, or images simulated from the model.
        images: how many of them it takes: ``hais.pilot_images``, or all of a run that scores fewer. So more images to
            be scored change no pilot, and no name of what needs it.
        binarisation_seed: of the test images.
    """

    start: Start
    on: Literal["test", "simulated"]
    images: int
    binarisation_seed: int


Work = PilotWork | Shard | SimulatedShard
Result = FrozenStepSize | ShardResult | SandwichResult


@dataclass(frozen=True)
class Task:
    """A piece of work.

    Attributes:
        name: holds a hash of the work, the settings it depends on, the source of the images, and the name of what it
            needs.
        label: what it is, for people.
        work: what to do.
        config: with which settings, and how images become bits, if they do.
        needs: name of the task that finds its step size; None where none is needed.
        evaluations: evaluations of the network that it takes (samples x images), to show how far the work is.
    """

    name: str
    label: str
    work: Work
    config: RunConfig
    needs: str | None
    evaluations: int


def make_task(label: str, work: Work, config: RunConfig, pilot: Task | None = None) -> Task:
    """Return a task with its name.

    ``pilot`` is the task that finds its step size.
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
        # Resolved, so that names change with what a default stands for, and not with whether it is written out. How
        # many images a pilot takes is part of its work.
        settings["hais"] = _resolved_for(work, evaluation)._asdict()
        del settings["hais"]["pilot_images"]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    name = f"{label.replace(' ', '-')}.{place}.{digest}.json"
    return Task(name, label, work, config, needs, _evaluations(work, evaluation))


def perform(model: VAE, images: Mapping[Split, Tensor], task: Task, needed: FrozenStepSize | None) -> Result:
    """Do a task.

    ``images`` are uint8 [N, X...] of each split, on the model's device; ``needed`` is the result of the task that this
    one needs.

    Raises:
        ValueError: it needs a step size and has none.
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
        raise ValueError(f"{task.name} needs the step size of {task.needs}")
    return squeeze(model, work, evaluation, step_size)


def read_result(task: Task, text: str) -> Result:
    """Return a task's result from its JSON.

    Raises:
        pydantic.ValidationError: the text is something else.
    """
    if isinstance(task.work, PilotWork):
        return FrozenStepSize.model_validate_json(text)
    if isinstance(task.work, Shard):
        return ShardResult.model_validate_json(text)
    return SandwichResult.model_validate_json(text)


def _resolved_for(work: Work, evaluation: EvaluationConfig) -> HaisSettings:
    """The settings of annealing from the work's own start, none of them unset."""
    return evaluation.hais.resolved(None if isinstance(work, Shard) else work.start)


def _evaluations(work: Work, evaluation: EvaluationConfig) -> int:
    hais = _resolved_for(work, evaluation)
    chain = gradient_evaluations(hais.temperatures, hais.leapfrog_steps)
    if isinstance(work, Shard):
        return work.count * work.samples * (chain if work.method == "hais" else 1)
    if isinstance(work, PilotWork):
        return work.images * hais.chains * hais.pilot_passes * chain
    return 2 * work.count * hais.chains * chain
