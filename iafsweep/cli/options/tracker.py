"""TODO iafsweep.cli.options.tracker."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

TrackerName = Literal["mlflow", "wandb"]

TrackerOption = Annotated[
    TrackerName | None,
    typer.Option(
        "--tracker",
        help="Send every run to MLflow (`MLFLOW_TRACKING_URI`) or Weights & Biases (`WANDB_MODE=offline` for a local "
        "copy) too. Nothing waits for it, and no fault of it ends a run.",
    ),
]
