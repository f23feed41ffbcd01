"""The work behind `run_sweep.py`: what it begins, goes on with, scores again and shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from iafsweep.cli.command_line import program, this_command
from iafsweep.cli.errors import faults_in_words
from iafsweep.cli.options.hais import with_hais
from iafsweep.cli.options.ray import Machine
from iafsweep.cli.options.until_error import refuse_budget_alone
from iafsweep.cli.see_through import score_best, see_through, show_results
from iafsweep.cli.tables import print_leaderboard, print_table, refuse_csv
from iafsweep.config import EvaluationConfig, RunConfig
from iafsweep.config.files import build_config, find_config, parse_overrides, with_values
from iafsweep.config.problems import explain
from iafsweep.config.sweep import SweepConfig
from iafsweep.errors import SweepError, UserError
from iafsweep.records import FigureKind
from iafsweep.results.publish import publish
from iafsweep.search_space.files import load_space
from iafsweep.search_space.preview import preview_table, sample_configurations
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.cluster.footprint import parameter_count
from iafsweep.sweep.cluster.gpu_packing import automatic_gpus, probe_gpu, require_gpu
from iafsweep.sweep.cluster.resources import plan_trials
from iafsweep.sweep.samplers.warm_start import warm_start
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.stored_sweep import load_sweep_space
from iafsweep.sweep.tune.driver import check_resources

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def show_samples(space: str, overrides: list[str], count: int, seed: int, console: Console) -> None:
    """Print sample configurations of a space with their sizes."""
    loaded = load_space(space, overrides)
    table = preview_table(loaded, sample_configurations(loaded, count, seed), parameter_count)
    if loaded.title:
        console.print(loaded.title, markup=False, style="bold")
    print_table(console, table, [parameter.path for parameter in loaded.parameters])


def launch_new(
    space: str,
    overrides: list[str],
    epochs: int | None,
    sweep: Mapping[str, object],
    name: str | None,
    runs: Path,
    earlier: Path | None,
    machine: Machine,
    console: Console,
) -> int:
    """Begin a sweep in a new folder and see it through to its leaderboard."""
    plain = {key: value for key, value in sweep.items() if value != "auto"}
    loaded = with_sweep(load_space(space, overrides, epochs=epochs, sweep=plain), sweep, console)
    folder = SweepFolder(_new_folder(runs, name, find_config(space).stem))
    if earlier is not None:
        check_resources(loaded, folder, machine.options)
        with faults_in_words(folder.path, this_command()):
            known, ended = warm_start(loaded, folder, SweepFolder(earlier))
        console.print(f"The sampler knows {known} of the {ended} trials of {earlier}", markup=False, soft_wrap=True)
    return see_through(loaded, folder, machine, console)


def resume_old(folder: Path, changes: Mapping[str, object], machine: Machine, console: Console) -> int:
    """Go on with a sweep and see it through to its leaderboard."""
    old = SweepFolder(folder)
    return see_through(with_sweep(load_sweep_space(old), changes, console), old, machine, console)


def rerun_best(
    folder: Path,
    changes: Mapping[str, object],
    asked: Mapping[str, object],
    hais: str | None,
    overrides: list[str],
    machine: Machine,
    console: Console,
    trials: Sequence[str] = (),
) -> int:
    """Score the best trials with other settings than the sweep did, or more of them, or those that are named."""
    old = SweepFolder(folder)
    space = with_sweep(load_sweep_space(old), changes)
    old.refuse_if_driven()
    evaluation = _evaluation(space.base, asked, hais, overrides)
    refuse_budget_alone(asked, evaluation.until_error.target)
    if not space.sweep.top and not trials:
        raise UserError("the sweep's `top` is 0, so there is nothing to score; ask for some, as in --top 5")
    if machine.options.address is None:
        plan_trials([machine.options.node], space.sweep, len(trials) or space.sweep.top, may_grow=machine.options.wait)
    again = this_command()
    with faults_in_words(old.path, again):
        with machine.options.ray():
            figures = _figures_asked(asked, hais, overrides)
            code = score_best(space, old, evaluation, machine, console, again, figures, trials)
        show_results(old, console)
    return code


def export_leaderboard(folder: Path, csv: Path | None, console: Console, show: Sequence[str] = ()) -> None:
    """Write the leaderboard from what is on disk."""
    old = SweepFolder(folder)
    if csv is not None and csv.resolve() != old.leaderboard_csv.resolve():
        refuse_csv(old, csv, old.leaderboard_csv.name)
    try:
        published = publish(old, csv, show)
    except OSError as error:
        raise UserError(f"cannot write the leaderboard: {error}") from error
    print_leaderboard(console, old, published)
    console.print(f"CSV: {csv or old.leaderboard_csv}", markup=False, soft_wrap=True)


def _evaluation(
    base: RunConfig, asked: Mapping[str, object], hais: str | None, overrides: Sequence[str]
) -> EvaluationConfig:
    """Return the sweep's evaluation with what the command line asks for."""
    changes = parse_overrides(overrides)
    if other := [key for key in changes if not key.startswith("evaluation.")]:
        raise UserError(f"--set {other[0]}: a rerun changes nothing but [evaluation]; the trials are trained already")
    changes |= {key: value for key, value in asked.items() if value is not None}
    evaluation = (
        base.evaluation
        if hais is None
        else base.evaluation.model_copy(update={"hais": with_hais(base.evaluation.hais, hais)})
    )
    values = base.model_dump(exclude_none=True) | {"evaluation": evaluation.model_dump(exclude_none=True)}
    found = build_config(with_values(values, changes), "rerun").evaluation
    if found.checkpoint != (scored := base.evaluation.checkpoint):
        raise UserError(
            f"--set evaluation.checkpoint={found.checkpoint}: the sweep ranks and scores {scored}.pt, and figures of "
            f"another checkpoint do not belong on its leaderboard; leave that out"
        )
    return found


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


def with_sweep(space: SearchSpace, changes: Mapping[str, object], console: Console | None = None) -> SearchSpace:
    """Return ``space`` with other settings of its sweep; those that are None are left as they are.

    GPUs a trial may be ``auto``: then the largest configuration is measured, and the console told.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    if given.get("gpus_per_trial") == "auto":
        require_gpu()
        given["gpus_per_trial"] = share = automatic_gpus(space, probe_gpu)
        if console is not None:
            console.print(f"The largest configuration fits {1 / share:.0f} times on a GPU: {share:.3g} GPU a trial")
    try:
        return replace(space, sweep=SweepConfig.model_validate(space.sweep.model_dump() | given))
    except ValidationError as error:
        raise explain(error, "options") from None


def _new_folder(runs: Path, name: str | None, stem: str) -> Path:
    """Return a folder that does not exist yet; without a name the space's with the first free number."""
    if name is None:
        return next(path for number in range(1, 10**9) if not (path := runs / f"{stem}-{number}").exists())
    if _NAME.fullmatch(name) is None:
        raise UserError(f"--name {name!r}: take letters, digits and . _ - only; --runs names the folder it is put in")
    if (runs / name).exists():
        again = shlex.join([*program(), "resume", str(runs / name)])
        raise SweepError(f"{runs / name} exists; take another --name, or go on: {again}")
    return runs / name
