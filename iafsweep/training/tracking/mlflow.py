"""The MLflow tracker: ``pip install mlflow-skinny``; ``MLFLOW_TRACKING_URI`` names the server or local store.

The experiment is ``MLFLOW_EXPERIMENT_NAME``, by default ``iafsweep``. Runs are found again by their tag
``iafsweep.key``. The client is used rather than the fluent interface, which would also send user, host and source file.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from iafsweep.config import RunConfig, field_paths, get_path
from iafsweep.records import EpochMetrics
from iafsweep.training.tracking.base import RunToTrack

_KEY = "iafsweep.key"
_ENDS = {"completed": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED"}
_WITNESS = "train_loss"
"""A metric that every epoch has; its last step is the last epoch that the tracker has."""


@final
class MlflowTracker:
    """Opens runs in MLflow.

    Raises:
        ImportError: MLflow is not installed.
    """

    def __init__(self) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self._client = self._mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "iafsweep")
        found = self._client.get_experiment_by_name(name)
        self._experiment = self._client.create_experiment(name, **_pictures()) if found is None else found.experiment_id

    def open(self, run: RunToTrack) -> MlflowRun:
        """Open a run; one that MLflow already has is continued after its last epoch."""
        found = self._client.search_runs([self._experiment], f"tags.`{_KEY}` = '{run.key}'", max_results=1)
        if found:
            name = found[0].info.run_id
            self._client.update_run(name, status="RUNNING")
            history = self._client.get_metric_history(name, _WITNESS)
            return MlflowRun(self._mlflow, self._client, name, max((point.step for point in history), default=0))
        tags = {_KEY: run.key, **({"iafsweep.sweep": run.group} if run.group else {})}
        made = self._client.create_run(self._experiment, tags=tags, run_name=run.name)
        name = made.info.run_id
        parameter = self._mlflow.entities.Param
        values = [parameter(path, _text(get_path(run.config, path))) for path in field_paths(RunConfig)]
        self._client.log_batch(name, params=values)
        return MlflowRun(self._mlflow, self._client, name, 0)

    def close(self) -> None:
        """Nothing is held open."""


def _text(value: object) -> str:
    """Return a value as text: None as ``unset``, strings as they are, others as JSON."""
    return "unset" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


def _pictures() -> dict[str, str]:
    """Artifact location of a new experiment: next to a database in another folder; MLflow would use ``mlruns`` here."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    path = Path(uri.removeprefix("sqlite:///"))
    is_elsewhere = uri.startswith("sqlite:///") and path.absolute().parent != Path.cwd()
    return {"artifact_location": (path.absolute().parent / "mlartifacts").as_uri()} if is_elsewhere else {}


@final
class MlflowRun:
    """A run in MLflow.

    Attributes:
        epochs_sent: the last epoch that MLflow has.
    """

    def __init__(self, mlflow: Any, client: Any, name: str, epochs_sent: int) -> None:  # noqa: ANN401 - untyped package
        self._mlflow = mlflow
        self._client = client
        self._name = name
        self.epochs_sent = epochs_sent

    def epoch(self, metrics: EpochMetrics) -> None:
        """Send all metrics of an epoch in one call, so that MLflow has an epoch completely or not at all."""
        values = metrics.model_dump(exclude={"epoch"}, exclude_none=True)
        self._log(values, metrics.epoch)

    def figures(self, values: Mapping[str, float]) -> None:
        """Send figures."""
        self._log(values, 0)

    def image(self, name: str, path: Path) -> None:
        """Log an image as an artifact."""
        self._client.log_artifact(self._name, str(path))

    def end(self, status: str) -> None:
        """Set the run's status."""
        self._client.set_tag(self._name, "iafsweep.status", status)
        self._client.set_terminated(self._name, _ENDS.get(status, "FAILED"))

    def _log(self, values: Mapping[str, float], step: int) -> None:
        metric, now = self._mlflow.entities.Metric, int(1000 * time.time())
        self._client.log_batch(self._name, metrics=[metric(name, value, now, step) for name, value in values.items()])
