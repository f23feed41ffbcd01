"""Options of every command that starts Ray: which one, on what, and who else hears of it."""

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
    bool, typer.Option("--wait", help="The cluster adds nodes on demand: wait for them instead of refusing.")
]


@dataclass(frozen=True)
class Cluster:
    """The Ray that trains."""

    address: Address = None
    tracker: TrackerOption = None
    wait: Wait = False


@dataclass(frozen=True)
class Host:
    """What a command takes of this machine, and opens on it."""

    data_root: Annotated[
        Path | None, typer.Option(help="Folder of data sets; default $IAFSWEEP_DATA or a cache folder.")
    ] = None
    data_path: Annotated[
        Path | None, typer.Option(help="Where your own images are, in place of data.path (data.source = 'file').")
    ] = None
    ray_folder: Annotated[Path | None, typer.Option(help="Folder for Ray's sockets and logs (a short path).")] = None
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Start Ray's dashboard, for browsers on this machine alone.")
    ] = False
    allow_no_authentication: Annotated[
        bool,
        typer.Option(
            "--allow-no-authentication",
            help="Start although RAY_AUTH_MODE turns Ray's token authentication off. Whoever reaches this machine's "
            "ports can then run code on it.",
        ),
    ] = False

    def machine(self, cluster: Cluster, hours: float | None = None) -> Machine:
        """Return on what the command runs."""
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
    """On what a command runs; ``data_path``: where images of one's own are, if not where the configuration says."""

    data_root: Path
    options: LaunchOptions
    tracker: TrackerName | None = None
    data_path: Path | None = None


TrackerName = Literal["mlflow", "wandb"]

TrackerOption = Annotated[
    TrackerName | None,
    typer.Option(
        "--tracker",
        help="Send every run to MLflow (`MLFLOW_TRACKING_URI`) or Weights & Biases (`WANDB_MODE=offline` for a local "
        "copy) too. Nothing waits for it, and no fault of it ends a run.",
    ),
]
