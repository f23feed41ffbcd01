"""The trainable in Ray Tune itself: searchers, schedulers, failures, a killed driver; and the sweep made of that."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
from ray import tune
from ray.tune import Result
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining
from ray.tune.search import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

import iafsweep
from iafsweep.api.launch import resume
from iafsweep.api.news import Place, SweepNews
from iafsweep.api.rerun import rerun
from iafsweep.api.results import export, report
from iafsweep.api.scoring.asked import Asked
from iafsweep.records import METRIC
from iafsweep.run_files import metrics_file
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.tune import import_results, load_best
from tests.tune.plain import DEPTH, RATE, images, made

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
BEST = {"metric": METRIC, "mode": "min"}


class Free(tune.Callback):
    """Notes the cores that are free while a trial runs."""

    def __init__(self) -> None:
        self.seen = set()

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.seen.add(ray.available_resources().get("CPU", 0.0))


def run_config(place, callbacks=(), **checkpoints):
    return tune.RunConfig(
        name="experiment",
        storage_path=str(place),
        verbose=0,
        callbacks=list(callbacks),
        checkpoint_config=tune.CheckpointConfig(**checkpoints),
    )


def rows(folder):
    return [
        (row.learning_rate, row.validation_negative_elbo) for row in metrics_file.read(RunFolder(Path(folder)).metrics)
    ]


def by_hand(kind, values, epochs, tmp_path, start=None):
    """What a trial that nothing disturbs comes to."""
    trial = kind(values)
    if start is not None:
        trial.restore(start)
    for _ in range(epochs):
        trial.train()
    place = tmp_path / f"by-hand-{time.monotonic_ns()}"
    trial.save(str(place))
    trial.stop()
    return place


def test_asha_and_optuna_with_parts_of_a_core(tmp_path, ray_cluster):
    kind, free = made(epochs=4), Free()
    space = {DEPTH: tune.choice([0, 1, 2]), RATE: tune.loguniform(1e-4, 1e-2)}
    tuner = tune.Tuner(
        tune.with_resources(kind, {"cpu": 0.5}),
        param_space=space,
        tune_config=tune.TuneConfig(
            **BEST,
            num_samples=5,
            reuse_actors=True,
            search_alg=OptunaSearch(seed=0),
            scheduler=ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2),
        ),
        run_config=run_config(tmp_path, [free], checkpoint_frequency=1, num_to_keep=2),
    )
    results = tuner.fit()
    assert results.num_errors == 0
    assert {each % 1 for each in free.seen} >= {0.5}
    best = load_best(results, "cpu")
    assert best.metrics[best.epoch - 1].validation_negative_elbo == min(
        result.metrics["best_value"] for result in results
    )
    config = results.get_best_result().config
    whole = by_hand(kind, config, 4, tmp_path)
    assert rows(results.get_best_result().checkpoint.path) == rows(whole)

    sweep = import_results(results, tmp_path / "imported")
    statuses = [row.status for row in sweep.rows]
    assert {"completed", "stopped"} == set(statuses)
    place = Place(LaunchOptions(), tmp_path, SweepNews(), images())
    asked = Asked(samples=4, images=10)
    code, _ = rerun(sweep.path, {"top": 1}, asked, place)
    assert code == 0
    export(sweep.path)
    assert list(report(sweep.path, ["report"])) == [sweep.path / "report.html"]
    again = iafsweep.load_sweep(sweep.path)
    assert again.rows[0].nll_importance_sampling.images == 10
    assert (sweep.path / "report.html").stat().st_size > 100_000


def test_a_population_exploits_and_explores(tmp_path, ray_cluster):
    kind, rates = made(epochs=4), [0.0001, 0.001, 0.003, 0.01]
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        quantile_fraction=0.25,
        hyperparam_mutations={RATE: tune.loguniform(1e-4, 1e-2)},
        synch=True,
    )
    tuner = tune.Tuner(
        tune.with_resources(kind, {"cpu": 0.5}),
        param_space={RATE: tune.grid_search(rates)},
        tune_config=tune.TuneConfig(**BEST, scheduler=scheduler, reuse_actors=True),
        run_config=run_config(tmp_path, num_to_keep=4),
    )
    results = tuner.fit()
    assert [result.metrics["epoch"] for result in results] == [4] * 4
    copies = [each for each in (rows(result.checkpoint.path) for result in results) if each[1][0] != each[2][0]]
    assert len(copies) == 1  # a quarter
    ((old, _), _, (new, _), _) = copy = copies[0]
    assert old in rates
    assert new not in rates
    donor = by_hand(kind, {RATE: old}, 2, tmp_path)
    assert rows(by_hand(kind, {RATE: new}, 2, tmp_path, start=str(donor))) == copy
    assert [row.status for row in import_results(results, tmp_path / "imported").rows] == ["completed"] * 4


def test_a_grid_in_which_a_trial_fails_in_processes_used_again(tmp_path, ray_cluster):
    kind = made(epochs=2)
    space = {"training.objective": tune.grid_search(["elbo", "stl"]), DEPTH: tune.grid_search([2, 0])}
    tuner = tune.Tuner(
        kind,
        param_space=space,
        tune_config=tune.TuneConfig(**BEST, search_alg=BasicVariantGenerator(max_concurrent=1), reuse_actors=True),
        run_config=run_config(tmp_path),
    )
    results = tuner.fit()
    assert results.num_errors == 1
    (failed,) = (result for result in results if result.error)
    assert "needs the gradient of log q(z|x)" in str(failed.error)
    assert [result.metrics["status"] for result in results if not result.error] == ["completed"] * 3
    last = results[3]
    assert rows(last.checkpoint.path) == rows(by_hand(kind, last.config, 2, tmp_path))
    with pytest.warns(UserWarning, match="left out 1 trial that ended before the first report"):
        assert len(import_results(results, tmp_path / "imported").rows) == 3


def test_a_trial_that_tune_left_is_trained_on_by_resume(tmp_path, ray_cluster):
    kind, results = made(epochs=3), []
    for values, epochs in (({RATE: 0.004, DEPTH: 1}, 3), ({RATE: 0.001, DEPTH: 1}, 1)):
        trial = kind(values)
        reports = [trial.train() for _ in range(epochs)]
        saved = trial.save(str(tmp_path / str(epochs)))
        trial.stop()
        results.append(Result(metrics=reports[-1], checkpoint=saved.checkpoint, error=None, path=""))
    sweep = import_results(results, tmp_path / "imported")
    assert [row.status for row in sweep.rows] == ["completed", "interrupted"]
    end = resume(sweep.path, {"top": 0}, Place(LaunchOptions(), tmp_path, SweepNews(), images()))
    assert end.exit_code == 0
    after = iafsweep.load_sweep(sweep.path)
    assert sorted((row.trial, row.status) for row in after.rows) == [("t0001", "completed"), ("t0002", "completed")]
    assert rows(sweep.path / "trials" / "t0002") == rows(by_hand(kind, {RATE: 0.001, DEPTH: 1}, 3, tmp_path))


SCRIPT = """
import os, sys, time
os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "1"
from pathlib import Path
from ray import tune
import iafsweep.tune
from iafsweep.sweep.cluster.ray_session import running_ray
from iafsweep.sweep.cluster.resources import Node
from tests.tune.plain import RATE, made

class Slow(tune.Callback):
    def on_trial_result(self, **info):
        time.sleep(0.3)

place, kind = Path(sys.argv[1]), made(epochs=12)
with running_ray(Node("this machine", 2, 0)):
    if (place / "experiment").exists():
        tuner = tune.Tuner.restore(str(place / "experiment"), trainable=kind)
    else:
        tuner = tune.Tuner(
            kind,
            param_space={RATE: tune.grid_search([0.001, 0.01])},
            run_config=tune.RunConfig(
                name="experiment", storage_path=str(place), verbose=0, callbacks=[Slow()],
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1, num_to_keep=3),
            ),
        )
    results = tuner.fit()
    sweep = iafsweep.tune.import_results(results, place / "imported")
    for result in results:
        print("restored", result.metrics["iterations_since_restore"])
"""


def test_a_killed_and_restored_tuner_comes_to_the_same_bits(tmp_path):
    root = Path(__file__).parent.parent.parent
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with (tmp_path / "log").open("w") as log:
        driver = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
        while len({path.parent for path in tmp_path.glob("experiment/*/checkpoint_000004")}) < 2:
            assert driver.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        time.sleep(1.5)  # until Tune has written down that there are checkpoints
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trained_again = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("restored")]
    assert len(trained_again) == 2
    assert max(trained_again) < 12
    kind = made(epochs=12)
    found = sorted(rows(tmp_path / "imported" / "trials" / trial) for trial in ("t0001", "t0002"))
    assert found == [rows(by_hand(kind, {RATE: rate}, 12, tmp_path)) for rate in (0.001, 0.01)]
