"""`run_sweep.py rerun`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iafsweep.cli.command_line import this_command
from iafsweep.cli.console import loading, make_console
from iafsweep.cli.errors import INTERRUPTS, code_of, faults_in_words
from iafsweep.cli.options.ray import Address, Cluster, Host, Machine, Wait
from iafsweep.cli.options.scoring import UntilError, refuse_budget_alone, with_hais
from iafsweep.cli.options.sweep import Folder, Share, Top, refuse_other_folders, settings, trials
from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.config.files import build_config, parse_overrides, with_values
from iafsweep.errors import UserError
from iafsweep.records import FigureKind
from iafsweep.signals import leaving_at_once


def rerun(
    folder: Folder,
    *,
    top: Top = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Importance samples an image.")] = None,
    hais: Annotated[
        str | None,
        typer.Option(
            help="`off`, or a start (`posterior`, `prior`, `base`), perhaps with temperatures x leapfrog steps x "
            "chains: `prior:500x10x16`."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="Score the first so many test images.")] = None,
    trial: Annotated[
        list[str] | None,
        typer.Option(help="Score this trial, such as `t0007`, instead of the best. Repeatable.", autocompletion=trials),
    ] = None,
    sandwich: Annotated[
        int | None,
        typer.Option(min=1, help="Measure lower and upper bound on so many images simulated from each model."),
    ] = None,
    until: UntilError,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field of [evaluation]. Repeatable.")
    ] = None,
    share: Share,
    address: Address = None,
    wait: Wait = False,
    host: Host,
) -> None:
    """Score the best trials of a sweep on the test images; what is scored already is not scored twice.

    New figures stand beside those that are there; of what no option is given for, those that are there are kept.

    - `run_sweep.py rerun runs/quick-1 --top 5 --samples 5000`
    - `run_sweep.py rerun runs/quick-1 --hais posterior:40x4x16 --images 200`
    - `run_sweep.py rerun runs/quick-1 --hais posterior --sandwich 100 --until-error 0.02 --budget-seconds 3600`
    """
    asked = {
        "evaluation.importance_sampling.samples": samples,
        "evaluation.importance_sampling.images": images,
        "evaluation.hais.images": images,
        "evaluation.sandwich.images": sandwich,
        "evaluation.sandwich.enabled": None if sandwich is None else True,
        **until.changes,
    }
    refuse_other_folders(folder)
    with leaving_at_once(), loading("PyTorch"):
        import iafsweep.api.rerun
        import iafsweep.cli.sweep_output  # noqa: F401 - before anything can be half done
    machine = host.machine(Cluster(address, None, wait))
    changes = settings(share, top=top)
    raise typer.Exit(rerun_best(folder, changes, asked, hais, overrides or [], machine, make_console(), trial or []))


def rerun_best(
    folder: Path,
    changes: Mapping[str, object],
    asked: dict[str, object],
    hais: str | None,
    overrides: list[str],
    machine: Machine,
    console: Console,
    trials: Sequence[str] = (),
) -> int:
    """Score the best ``trials``, or those named, with other settings of sweep (``changes``) and evaluation."""
    from iafsweep.api.launch import with_sweep
    from iafsweep.api.news import Place
    from iafsweep.api.rerun import rerun as api_rerun
    from iafsweep.cli.sweep_output import SweepOutput
    from iafsweep.sweep.storage.folder import SweepFolder
    from iafsweep.sweep.storage.stored_sweep import read_sweep

    sweep = read_sweep(SweepFolder(folder))
    space = with_sweep(sweep.space, changes)
    sweep.folder.refuse_if_driven()
    evaluation = _evaluation(space.base, asked, hais, overrides)
    refuse_budget_alone(asked, evaluation.until_error.target)
    output = SweepOutput(machine, console, this_command())
    with faults_in_words(sweep.folder.path, this_command):
        figures = _figures_asked(asked, hais, overrides)
        place = Place(machine.options, machine.data_root, output, machine.data_path)
        try:
            with output.acknowledging():
                code, results = api_rerun(sweep, space.sweep, evaluation, place, figures, trials)
        except INTERRUPTS as interrupt:  # while Ray starts, between two parts of the work, a second time
            output.print_interrupted()
            return code_of(interrupt)
        output.print_scored(results, code)
    return code


def _figures_asked(asked: Mapping[str, object], hais: str | None, overrides: Sequence[str]) -> set[FigureKind]:
    """Return the figures that options were given for: these are made, of others those that are there are kept."""
    given = [*parse_overrides(overrides), *(key for key, value in asked.items() if value is not None)]
    found: set[FigureKind] = set() if hais is None else {"hais"}
    of_part: dict[str, set[FigureKind]] = {
        "importance_sampling": {"importance_sampling"},
        "hais": {"hais"},
        "sandwich": {"sandwich"},
        "bound_images": {"negative_elbo"},
        "until_error": {"importance_sampling", "hais"},
    }
    everything = set().union(*of_part.values())
    return found.union(*(of_part.get(key.split(".")[1], everything) for key in given))


def _evaluation(
    base: RunConfig, asked: Mapping[str, object], hais: str | None, overrides: Sequence[str]
) -> EvaluationConfig:
    changes = parse_overrides(overrides)
    if other := [key for key in changes if not key.startswith("evaluation.")]:
        raise UserError(f"--set {other[0]}: a rerun changes nothing but [evaluation]; the trials are trained already")
    changes |= {key: value for key, value in asked.items() if value is not None}
    evaluation = base.evaluation
    if hais is not None:
        evaluation = evaluation.model_copy(update={"hais": with_hais(evaluation.hais, hais)})
    values = base.model_dump() | {"evaluation": evaluation.model_dump()}
    found = build_config(with_values(values, changes), "rerun").evaluation
    if found.checkpoint != (scored := base.evaluation.checkpoint):
        raise UserError(
            f"--set evaluation.checkpoint={found.checkpoint}: the sweep ranks and scores {scored}.pt, and figures of "
            f"another checkpoint do not belong on its leaderboard; leave that out"
        )
    return found
