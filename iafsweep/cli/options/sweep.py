"""Arguments and options of a sweep: which one, its budget, and the resources of its trials."""

import glob
import json
import os
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from iafsweep.config import RunConfig, field_paths
from iafsweep.config.files import bundled_folder, read_toml
from iafsweep.errors import UserError

_TRIAL = re.compile(r"t\d{4,9}")
_NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")


def configurations(typed: str) -> list[str]:
    """Return the names of the shipped single configurations, for shell completion."""
    return [name for name in _shipped(searches=False) if name.startswith(typed)]


def spaces(typed: str) -> list[str]:
    """Return the names of the shipped search spaces."""
    return [name for name in _shipped(searches=True) if name.startswith(typed)]


def fields(typed: str) -> list[str]:
    """Return the configuration fields in the form that `--set` takes."""
    return [f"{path}=" for path in field_paths(RunConfig) if path.startswith(typed)]


def trials(context: typer.Context, typed: str) -> list[str]:
    """Return the names of the trials of the sweep on the command line."""
    return sorted(each.name for each in _trials_folder(context).glob(f"{typed}*") if _TRIAL.fullmatch(each.name))


def _trials_folder(context: typer.Context) -> Path:
    """Return the folder of the sweep's trials; after an option without a value, Typer has parsed no argument yet."""
    return Path(context.params.get("folder") or next(iter(context.args), "")) / "trials"


def is_trial(word: str) -> bool:
    """Return whether a word is the name of a trial."""
    return _TRIAL.fullmatch(word) is not None


def trials_or_sweeps(context: typer.Context, typed: str) -> list[str]:
    """Return the names of the trials of the sweep on the command line, and sweep folders."""
    spaces_there = glob.glob(f"{glob.escape(typed)}*/sweep.toml") if typed else []
    return [*trials(context, typed), *sorted(os.path.dirname(each) for each in spaces_there)]


def shown_settings(context: typer.Context, typed: str) -> list[str]:
    """Return the settings of the measured figures of the sweep on the command line, quoted for a shell."""
    found = set()
    for path in _trials_folder(context).glob("*/evaluation.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            found |= {str(each["settings"]) for each in json.loads(path.read_text(encoding="utf-8"))["estimates"]}
    return [shlex.quote(each) for each in sorted(found) if each and each.startswith(typed.strip("'\""))]


def retried(typed: str) -> list[str]:
    """Return the statuses of trials that can be retried."""
    return [status for status in ("oom", "failed", "diverged") if status.startswith(typed)]


def _shipped(*, searches: bool) -> list[str]:
    return sorted(path.stem for path in bundled_folder().glob("*.toml") if ("search" in read_toml(path)) == searches)


Space = Annotated[
    str,
    typer.Argument(
        help="TOML file with [search], or the name of a shipped space such as `quick`.", autocompletion=spaces
    ),
]


def refuse_other_folders(folder: Path) -> None:
    """Refuse a folder that is not a sweep folder, before anything slow is imported."""
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.sweep.storage.stored_sweep import refuse_no_sweep

    refuse_no_sweep(SweepFolder(folder))


Folder = Annotated[Path, typer.Argument(help="Sweep folder, such as `runs/quick-1`.")]

Show = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SETTINGS",
        help="Show the test figures with these settings, such as `5000 samples`, `posterior 40x4x16` or `posterior "
        "40x4x16 on 100 images`; default: for each method the figures on the most images, and of these the lowest. "
        "Repeatable.",
        autocompletion=shown_settings,
    ),
]

Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a fixed field, for example `--set training.epochs=50`. Repeatable.",
        autocompletion=fields,
    ),
]

Top = Annotated[int | None, typer.Option(min=0, help="Number of best trials to rescore; 0: none.")]
Cpus = Annotated[int | None, typer.Option(min=1, help="CPU cores per trial.")]
Concurrent = Annotated[int | None, typer.Option(min=1, help="Maximum number of trials that run at once.")]

Hours = Annotated[
    float | None,
    typer.Option(min=0.001, help="Hours this command may take; training stops in time for scoring the best."),
]


def gpus_or_auto(text: str | None) -> float | Literal["auto"] | None:
    """Return the value of `--gpus-per-trial`.

    Raises:
        UserError: it is neither a number nor `auto`.
    """
    if text is None or text == "auto":
        return "auto" if text else None
    if _NUMBER.fullmatch(text) is None:
        raise UserError(f"--gpus-per-trial {text!r}: write a number such as 0.5, or auto")
    return float(text)


@dataclass(frozen=True)
class Share:
    """Resources per trial, and how many trials run at once; the fields are named as in `[sweep]`."""

    gpus_per_trial: Annotated[
        float | None, typer.Option(min=0, help="GPUs per trial, fractions allowed; default: 1 if there are any.")
    ] = None
    cpus_per_trial: Cpus = None
    max_concurrent: Concurrent = None


@dataclass(frozen=True)
class ShareOrAuto(Share):
    """The same, where GPUs per trial may also be ``auto``."""

    gpus_per_trial: Annotated[
        str | None,
        typer.Option(
            help="GPUs per trial, fractions allowed; default: 1 if there are any. `auto`: as many trials per GPU as "
            "fit with the largest configuration, measured once."
        ),
    ] = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Budget:
    """Limits that end the training of a sweep before its last trial."""

    hours: Hours = None
    gpu_hours: Annotated[
        float | None, typer.Option(min=0.001, help="GPU-hours of training for all trials together.")
    ] = None
    target: Annotated[
        float | None, typer.Option(help="Stop when a completed trial reaches this validation bound (nats).")
    ] = None


def settings(*groups: Share | Budget, **others: object) -> dict[str, object]:
    """Return the requested values by field of `[sweep]`; None for a field that was not given."""
    asked = {name: value for group in groups for name, value in vars(group).items() if name != "hours"} | others
    gpus = asked.get("gpus_per_trial")
    return asked | {"gpus_per_trial": gpus_or_auto(gpus)} if isinstance(gpus, str) else asked
