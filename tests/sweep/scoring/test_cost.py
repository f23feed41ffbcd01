"""What a rerun costs is said after a shard of each kind, if it is much, with what fewer images would cost."""

import re
from types import SimpleNamespace

import pytest
import typer

from iafsweep.cli import sweep
from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.evaluation.evaluate import plan_jobs
from iafsweep.evaluation.jobs import measure
from iafsweep.evaluation.shards import ShardResult
from iafsweep.evaluation.tasks import PilotWork
from iafsweep.sweep.scoring.cost import CostAhead, telling_first
from iafsweep.sweep.scoring.rerun import _in_order
from tests.advice.places import covers

EVALUATION = {
    "bound_images": 300,
    "importance_sampling": {"samples": 1000, "images": 2000},
    "hais": {"enabled": True, "images": 200, "chains": 4, "temperatures": 3, "leapfrog_steps": 2},
}


@pytest.fixture
def tasks():
    config = RunConfig().model_copy(update={"evaluation": EvaluationConfig.model_validate(EVALUATION)})
    found = [task for job in plan_jobs(config, {"test": 10_000}) for task in measure(job, config).tasks()]
    ordered = [found[place] for place in telling_first(found)]
    assert sorted(task.name for task in ordered) == sorted(task.name for task in found)
    return {task.name: task for task in ordered}


def result(task, seconds):
    none = (0.0,) * task.work.count
    names = [name for name, field in ShardResult.model_fields.items() if "tuple" in str(field.annotation)]
    figures = dict.fromkeys(names, none) | {"untrusted": (False,) * task.work.count}
    return ShardResult(
        shard=task.work,
        **figures,
        acceptance_rate=None,
        network_evaluations=1,
        gradient_evaluations=0,
        seconds=seconds,
    ).model_dump_json()


def kinds(tasks):
    return ["pilot" if isinstance(task.work, PilotWork) else task.work.method for task in tasks.values()]


def test_pilots_and_a_shard_of_each_kind_come_first(tasks):
    assert kinds(tasks)[0] == "pilot"
    assert sorted(kinds(tasks)[1:4]) == ["hais", "importance_sampling", "negative_elbo"]


def test_trial_by_trial_the_longest_tasks_come_first():
    """The best trial's figures are done before the next one's, and no process ends alone with a long task."""
    evaluation = EVALUATION | {"hais": EVALUATION["hais"] | {"chains": 8, "temperatures": 200}}
    config = RunConfig().model_copy(update={"evaluation": EvaluationConfig.model_validate(evaluation)})
    runs = [
        SimpleNamespace(
            finalist=SimpleNamespace(trial=trial, unit=lambda task, trial=trial: trial),
            measurement=measure(job, config),
        )
        for trial in ("best", "second")
        for job in plan_jobs(config, {"test": 10_000})
    ]
    ordered = _in_order(runs)
    kinds = ["pilot" if isinstance(task.work, PilotWork) else task.work.method for _, task in ordered]
    assert (kinds[:2], sorted(kinds[2:5])) == (["pilot"] * 2, ["hais", "importance_sampling", "negative_elbo"])
    rest = [(trial, task.evaluations) for trial, task in ordered[5:]]
    assert rest == sorted(rest, key=lambda each: (each[0], -each[1]))  # "best" is before "second"
    assert [kind for (trial, _), kind in zip(rest, kinds[5:], strict=True) if trial == "second"][:2] == ["hais"] * 2
    assert len(ordered) == sum(len(run.measurement.tasks()) for run in runs)


def said(tasks, seconds, at_a_time=2):
    """What is said when the first shard of each kind is done, and how often in all."""
    heard, results = [], {}
    cost = CostAhead(tasks, at_a_time, heard.append)
    for number, (name, task) in enumerate(tasks.items()):
        results[name] = "{}" if number == 0 else result(task, seconds[task.work.method])
        cost.hear(results)
        assert number >= 3 or not heard
    return heard


@covers("sweep/scoring/cost.py", "with --images {fewer}")
def test_the_estimate_is_that_of_the_first_shards(tasks):
    # 19 shards of IS are left, of 100 s; one of HAIS, of 300 s; two of the bound, of 1 s: (1900 + 300 + 2) / 2.
    # Of 200 images: one shard of IS, one of HAIS, and those of the bound: (100 + 300 + 2) / 2.
    (text,) = said(tasks, {"importance_sampling": 100.0, "hais": 300.0, "negative_elbo": 1.0})
    assert text == (
        "Scoring takes about 18 min more at the pace of its first shards, or about 3 min with --images 200. "
        "Ctrl-C keeps what is done."
    )
    words = re.search(r"--images \d+", text).group().split()
    rerun = typer.main.get_command(sweep.app).get_command(None, "rerun")
    assert rerun.make_context("rerun", ["a-sweep", *words]).params["images"] == 200


def test_what_is_short_is_not_worth_a_line(tasks):
    assert said(tasks, {"importance_sampling": 1.0, "hais": 1.0, "negative_elbo": 1.0}) == []
