"""Options of every command that starts Ray: which cluster, what it uses on this machine, and which tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from iafsweep.data_root import absolute_data_root

if TYPE_CHECKING:
    from iafsweep.sweep.tune.options import LaunchOptions


Address = Annotated[str | None, typer.Option(help="Join a running Ray cluster: `auto` or `HOST:6379`.")]

Wait = Annotated[
    bool, typer.Option("--wait", help="For a cluster that adds nodes on demand: wait for them instead of refusing.")
]


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster that trains, and the tracker."""

    address: Address = None
    tracker: TrackerOption = None
    wait: Wait = False


@dataclass(frozen=True)
class Host:
    """What a command uses and opens on this machine."""

    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data sets; default: $IAFSWEEP_DATA, else a cache folder.")
    ] = None
    data_path: Annotated[
        Path | None, typer.Option(help="Path of your own images, instead of data.path (for data.source = 'file').")
    ] = None
    ray_folder: Annotated[Path | None, typer.Option(help="Folder for Ray's sockets and logs (a short path).")] = None
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Start Ray's dashboard, reachable from this machine only.")
    ] = False
    allow_no_authentication: Annotated[
        bool,
        typer.Option(
            "--allow-no-authentication",
            help="Start even if RAY_AUTH_MODE disables Ray's token authentication. Anyone who reaches this machine's "
            "ports can then run code on it.",
        ),
    ] = False

    def machine(self, cluster: Cluster, hours: float | None = None) -> Machine:
        """Return what the command runs on."""
        from iafsweep.sweep.tune.options import LaunchOptions

        if self.allow_no_authentication:
            warning = "WARNING: Ray may run without authentication; anyone who reaches its ports can run code."
            typer.secho(warning, err=True)
        options = LaunchOptions(
            address=cluster.address,
            temporary=None if self.ray_folder is None else str(self.ray_folder),
            wait=cluster.wait,
            dashboard=self.dashboard,
            hours=hours,
            allow_no_authentication=self.allow_no_authentication,
        )
        return Machine(absolute_data_root(self.data_root), options, cluster.tracker, self.data_path)


@dataclass(frozen=True)
class Machine:
    """What a command runs on; ``data_path`` is the path of the user's own images if it is not the configuration's."""

    data_root: Path
    options: LaunchOptions
    tracker: TrackerName | None = None
    data_path: Path | None = None


TrackerName = Literal["mlflow", "wandb"]

TrackerOption = Annotated[
    TrackerName | None,
    typer.Option(
        "--tracker",
        help="Also send every run to MLflow (`MLFLOW_TRACKING_URI`) or Weights & Biases (`WANDB_MODE=offline` for a "
        "local copy). Nothing waits for the tracker, and its errors end no run.",
    ),
]
