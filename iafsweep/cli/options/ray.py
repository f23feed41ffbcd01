"""Arguments and options that several commands of `run_sweep.py` share."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from iafsweep.atomic import is_standard_output
from iafsweep.cli.options import completion
from iafsweep.cli.options.tracker import TrackerName
from iafsweep.data_root import default_data_root
from iafsweep.errors import UserError

if TYPE_CHECKING:
    from iafsweep.sweep.tune.options import LaunchOptions

_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")

Space = Annotated[
    str,
    typer.Argument(
        help="A TOML file with [search], or the name of one shipped: `quick`, `mnist`.",
        autocompletion=completion.spaces,
    ),
]

Show = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SETTINGS",
        help="Show the test figures with these settings, such as `5000 samples` or `posterior 40x4x16`, perhaps with "
        "`on 100 images` behind; default: of each method those on most images, and of these the lowest. Repeatable.",
    ),
]

Folder = Annotated[Path, typer.Argument(help="A sweep folder, such as `runs/quick-1`.")]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a fixed field: `--set training.epochs=50`. Repeatable.",
        autocompletion=completion.fields,
    ),
]

DataRoot = Annotated[Path | None, typer.Option(help="Folder of data sets; default $IAFSWEEP_DATA or a cache folder.")]

Address = Annotated[str | None, typer.Option(help="Join a running Ray cluster: `auto` or `HOST:6379`.")]

Gpus = Annotated[float | None, typer.Option(min=0, help="GPUs a trial, fractions allowed; default 1 if there are any.")]

GpusOrAuto = Annotated[
    str | None,
    typer.Option(
        "--gpus-per-trial",
        help="GPUs a trial, fractions allowed; default 1 if there are any. `auto`: as many trials a GPU as the largest "
        "configuration fits, measured once.",
    ),
]

Cpus = Annotated[int | None, typer.Option(min=1, help="CPU cores a trial.")]

Concurrent = Annotated[int | None, typer.Option(min=1, help="Trials at a time at most.")]

Top = Annotated[int | None, typer.Option(min=0, help="Best trials to score again; 0: none.")]

RayFolder = Annotated[Path | None, typer.Option(help="Folder for Ray's sockets and logs (a short path).")]

Wait = Annotated[
    bool, typer.Option("--wait", help="The cluster adds nodes on demand: wait for them instead of refusing.")
]

Dashboard = Annotated[
    bool, typer.Option("--dashboard", help="Start Ray's dashboard, for browsers on this machine alone.")
]

Hours = Annotated[
    float | None,
    typer.Option(min=0.001, help="Hours this command may take; keeps time for scoring the best, then ends cleanly."),
]

GpuHours = Annotated[float | None, typer.Option(min=0.001, help="GPU-hours all trials together may train for.")]

Target = Annotated[float | None, typer.Option(help="Stop when a completed trial's validation bound is so low (nats).")]

Unauthenticated = Annotated[
    bool,
    typer.Option(
        "--allow-no-authentication",
        help="Start although RAY_AUTH_MODE turns Ray's token authentication off. Whoever reaches this machine's "
        "ports can then run code on it.",
    ),
]


def make_machine(
    data_root: Path | None,
    address: str | None = None,
    ray_folder: Path | None = None,
    *,
    wait: bool = False,
    dashboard: bool = False,
    hours: float | None = None,
    allow_no_authentication: bool = False,
    tracker: TrackerName | None = None,
) -> Machine:
    """Return on what a command runs."""
    from iafsweep.sweep.tune.options import LaunchOptions

    if allow_no_authentication:
        typer.secho("WARNING: Ray may run without authentication; anyone who reaches its ports can run code.", err=True)
    options = LaunchOptions(
        address=address,
        temporary=None if ray_folder is None else str(ray_folder),
        wait=wait,
        dashboard=dashboard,
        hours=hours,
        allow_no_authentication=allow_no_authentication,
    )
    return Machine(Path(os.path.expanduser(data_root or default_data_root())).absolute(), data_root, options, tracker)


def gpus_or_auto(text: str | None) -> float | Literal["auto"] | None:
    """Return what `--gpus-per-trial` says.

    Raises:
        UserError: it is neither a number nor `auto`.
    """
    if text is None or text == "auto":
        return "auto" if text else None
    if _NUMBER.fullmatch(text) is None:
        raise UserError(f"--gpus-per-trial {text!r}: write a number such as 0.5, or auto")
    return float(text)


def make_console(written: Path | None = None) -> Console:
    """Return where a command prints: standard output, or standard error if ``written``, a file, is standard output."""
    return Console(highlight=False, stderr=is_standard_output(written))


@dataclass(frozen=True)
class Machine:
    """On what a command runs.

    Attributes:
        data_root: folder of data sets.
        asked_data_root: the same if it was asked for on the command line.
        options: as the sweep takes them.
        tracker: where trials are sent too; None: nowhere.
    """

    data_root: Path
    asked_data_root: Path | None
    options: LaunchOptions
    tracker: TrackerName | None = None
