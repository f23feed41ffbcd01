"""MLflow for real, in a file store; skipped where it is not installed."""

import math
import os

import pytest

from iafsweep.config import RunConfig, field_paths
from iafsweep.run_files import metrics_file
from iafsweep.training.tracking import RunToTrack, make_mirror
from tests.finished import BASE, finish_run
from tests.tracking.sending import send

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own


@pytest.fixture
def client(tmp_path, monkeypatch):
    uri = (tmp_path / "store").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: uri)
    return mlflow.MlflowClient(uri)


def runs_of(client):
    experiment = client.get_experiment_by_name("iafsweep")
    return client.search_runs([experiment.experiment_id])


def test_a_run_is_there_whole(client, scored_run, tmp_path):
    send("mlflow", scored_run, "completed")
    (found,) = runs_of(client)
    assert found.info.run_name == "quick t0001"
    assert found.info.status == "FINISHED"
    assert found.data.tags["iafsweep.sweep"] == "quick"
    assert found.data.params["model.latent_size"] == "4"
    assert set(found.data.params) == set(field_paths(RunConfig))
    for name in ("train_loss", "validation_negative_elbo", "kl_weight"):
        points = client.get_metric_history(found.info.run_id, name)
        expected = [(row.epoch, getattr(row, name)) for row in metrics_file.read(scored_run.folder.metrics)]
        assert [(point.step, point.value) for point in points] == expected
    assert found.data.metrics["test/importance_sampling/nll"] == 98.25
    assert {each.path for each in client.list_artifacts(found.info.run_id)} == {"samples.png", "reconstructions.png"}
    told = {
        **found.data.params,
        **{key: tag for key, tag in found.data.tags.items() if key != "mlflow.artifactLocation"},
    }
    assert not [value for value in told.values() if str(tmp_path) in value]


def test_a_run_that_goes_on_is_one_run_without_doubled_or_missing_epochs(client, tmp_path):
    folder = finish_run(tmp_path / "run")
    lines = folder.metrics.read_text()
    folder.metrics.write_text(lines.splitlines(keepends=True)[0])
    run = RunToTrack("abc-t0002", "run", "", BASE, folder)
    send("mlflow", run, "interrupted")
    assert runs_of(client)[0].info.status == "KILLED"
    folder.metrics.write_text(lines)
    send("mlflow", run, "diverged")
    (found,) = runs_of(client)
    assert found.info.status == "FAILED"
    assert [point.step for point in client.get_metric_history(found.info.run_id, "train_loss")] == [1, 2]


def test_figures_that_are_not_finite_are_sent(client, tmp_path):
    folder = finish_run(tmp_path / "run")
    last = metrics_file.read(folder.metrics)[-1]
    metrics_file.append(folder.metrics, last.model_copy(update={"epoch": 3, "train_loss": math.nan}))
    send("mlflow", RunToTrack("abc-t0003", "run", "", BASE, folder), "diverged")
    (found,) = runs_of(client)
    assert math.isnan(client.get_metric_history(found.info.run_id, "train_loss")[-1].value)


def test_a_store_that_cannot_be_reached_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "nonsense://nowhere")
    mirror = make_mirror("mlflow")
    mirror.news(RunToTrack("k", "run", "", BASE, finish_run(tmp_path / "run")))
    assert mirror.close(print).startswith("--tracker mlflow failed (")


def test_a_database_elsewhere_leaves_nothing_here(scored_run, tmp_path, monkeypatch):
    pytest.importorskip("sqlalchemy")
    (tmp_path / "here").mkdir()
    (tmp_path / "store").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store/mlflow.db")
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: os.environ["MLFLOW_TRACKING_URI"])
    send("mlflow", scored_run, "completed")
    assert list((tmp_path / "here").iterdir()) == []
    assert list((tmp_path / "store").rglob("samples.png"))
