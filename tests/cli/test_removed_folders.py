"""Run folders that somebody removed: said, and the rest goes on."""

import csv
import shutil
from contextlib import nullcontext

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from rich.console import Console

from iafsweep import load_sweep
from iafsweep.api.rerun import _failed
from iafsweep.api.scoring.asked import Asked
from iafsweep.cli.commands.reading.compare import compare_trials
from iafsweep.cli.commands.reading.export import export_leaderboard
from iafsweep.cli.commands.reading.status import show_status
from iafsweep.cli.commands.running.rerun import rerun_best
from iafsweep.cli.options.ray import Machine
from iafsweep.config import load_config
from iafsweep.errors import SweepError, UserError
from iafsweep.records import Best
from iafsweep.results.status import status_of
from iafsweep.search_space.candidate import candidate
from iafsweep.search_space.files import dump_space
from iafsweep.sweep.storage.events import Finished, Header, Proposed
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.stored_sweep import read_sweep, space_hash
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.training import RunFolder, Trainer
from tests.finished import figures, taken_for_mnist_mini
from tests.sweep.tiny import DEPTH, RATE, WIDTH, tiny_images, tiny_space

pytestmark = pytest.mark.faults
BOUNDS = {"t0001": 90.0, "t0002": 80.0}


@pytest.fixture
def folder(tmp_path):
    """A sweep of two trials, the second one better, that have trained an epoch each."""
    folder = SweepFolder(tmp_path / "sweep")
    folder.create()
    space = tiny_space(epochs=1, trials=2, top=1)
    folder.space.write_text(dump_space(space))
    with Ledger.create(folder.ledger, Header(sweep="s", created="t", seed=0, space=space_hash(space))) as ledger:
        for number, (trial, bound) in enumerate(BOUNDS.items(), start=1):
            found = candidate(space, {DEPTH: number, WIDTH: 8, RATE: 2e-3})
            seed = found.config.training.seed
            row = Proposed(
                trial=trial, number=number, parameters=dict(found.values), seed=seed, key=found.key, time="t"
            )
            ledger.append(row)
            trainer = Trainer.start(found.config, tiny_images(), RunFolder(folder.trial(trial)), torch.device("cpu"))
            trainer.run_epoch()
            trainer.finish()
            taken_for_mnist_mini(trainer.folder)
            end = Finished(
                trial=trial, status="completed", epochs=1, best_epoch=1, best_value=bound, seconds=1.0,
                gpu_seconds=0.0, time="t",
            )  # fmt: skip
            ledger.append(end)
    return folder


@pytest.fixture
def console():
    return Console(record=True, width=200, highlight=False)


def test_export_without_the_best_trials_folder(folder, console):
    export_leaderboard(folder.path, None, console)
    whole = pd.read_csv(folder.leaderboard_csv)
    best = load_config(folder.best)
    assert "issing" not in console.export_text()

    shutil.rmtree(folder.trial("t0002"))
    folder.best.unlink()
    export_leaderboard(folder.path, None, console)
    assert "Missing checkpoints, 1 in all: trials/t0002/best.pt" in console.export_text()
    of_epochs = ["kl", "latent_share", "active_units"]  # in the folder that is gone
    assert_frame_equal(pd.read_csv(folder.leaderboard_csv).drop(columns=of_epochs), whole.drop(columns=of_epochs))
    assert load_config(folder.best) == best
    assert best.model.flow.depth == 2


@pytest.mark.slow
def test_rerun_without_the_best_trials_folder_scores_the_next(ray_cluster, folder, console, tmp_path):
    shutil.rmtree(folder.trial("t0002"))
    machine = Machine(tmp_path, LaunchOptions())
    asked = Asked(2, "off", 4, settings={"evaluation.bound_images": 4})
    assert rerun_best(folder.path, {"top": 1}, asked, machine, console) == 0
    said = console.export_text()
    assert "t0002 cannot be scored: " in said
    assert str(folder.trial("t0002")) in said
    assert RunFolder(folder.trial("t0001")).read_evaluation().estimates

    shutil.rmtree(folder.trial("t0001"))
    assert rerun_best(folder.path, {"top": 1}, asked, machine, console) == 1


def test_a_truncated_checkpoint_is_noticed_before_anything_is_computed(folder, console, tmp_path, monkeypatch):
    monkeypatch.setattr(LaunchOptions, "ray", lambda options: nullcontext([options.node]))
    for trial in BOUNDS:
        path = RunFolder(folder.trial(trial)).best
        path.write_bytes(path.read_bytes()[:-1000])
    assert rerun_best(folder.path, {"top": 1}, Asked(), Machine(tmp_path, LaunchOptions()), console) == 1
    said = console.export_text().splitlines()
    assert [line[:46] for line in said if "best.pt is truncated" in line] == [
        f"{trial} cannot be scored: {folder.path}"[:46] for trial in ("t0002", "t0001")
    ]
    assert not list(folder.rerun.iterdir())


def test_an_error_of_many_units_is_said_once():
    assert _failed({"t0001.a": "same", "t0001.b": "same", "t0002.a": "other"}) == [
        "t0001.a and 1 more: same", "t0002.a: other"
    ]  # fmt: skip


def test_damaged_figures_of_a_trial_cost_no_more_than_themselves(folder, console):
    """One trial's evaluation.json is damaged, or of another version: everything else is there, and it is said."""
    RunFolder(folder.trial("t0001")).write_evaluation(figures(epoch=1))
    damaged = RunFolder(folder.trial("t0002")).evaluation
    damaged.write_text('{"checkpoint": "best", "made_by": "another version"}')
    export_leaderboard(folder.path, None, console)
    assert f"The test figures of t0002 are left out: {damaged} is damaged" in console.export_text()
    rows = {row["trial"]: row for row in csv.DictReader(folder.leaderboard_csv.read_text().splitlines())}
    assert rows["t0001"]["nll_importance_sampling"] == "98.25"
    assert rows["t0002"]["nll_importance_sampling"] == ""
    loaded = load_sweep(folder.path)
    assert [row.nll_importance_sampling and row.nll_importance_sampling.value for row in loaded.rows] == [None, 98.25]
    assert [str(damaged) in problem for problem in loaded.problems] == [True]
    with pytest.raises(UserError, match="at least two different scored trials"):  # not that figures are damaged
        compare_trials(folder.path, [], None, console)


def test_a_damaged_retraining_costs_no_more_than_itself(folder, console):
    for name, ledger in (("top1-seeds2", "no ledger\n"), ("top1-seeds3", folder.ledger.read_text())):
        into = SweepFolder(folder.path / "retrain" / name)
        into.create()
        shutil.copy(folder.space, into.space)
        into.ledger.write_text(ledger)
        RunFolder(into.trial("t0001")).path.mkdir()
        RunFolder(into.trial("t0001")).write_evaluation(figures(epoch=1))
    export_leaderboard(folder.path, None, console)
    assert "The figures of retrain/top1-seeds2 are left out: " in console.export_text()
    rows = {row["trial"]: row for row in csv.DictReader(folder.leaderboard_csv.read_text().splitlines())}
    assert rows["t0001"]["retrained_nll_importance_sampling"] == "98.25"


def test_a_damaged_state_is_noticed_before_anything_is_computed(ray_cluster, folder, console, tmp_path):
    RunFolder(folder.trial("t0002")).state.write_text("{")
    machine = Machine(tmp_path, LaunchOptions())
    asked = Asked(2, "off", 4, settings={"evaluation.bound_images": 4})
    assert rerun_best(folder.path, {"top": 1}, asked, machine, console) == 0
    assert f"t0002 cannot be scored: {RunFolder(folder.trial('t0002')).state} is damaged" in console.export_text()
    assert not any(path.name.startswith("t0002") for path in folder.rerun.iterdir())
    assert RunFolder(folder.trial("t0001")).read_evaluation().estimates


def test_a_ledger_of_another_search_gives_no_figures(folder, console, tmp_path):
    other = tiny_space(epochs=2, trials=2, top=1)
    lines = folder.ledger.read_bytes().split(b"\n", 1)
    header = Header(sweep="s", created="t", seed=0, space=space_hash(other)).model_dump_json().encode()
    folder.ledger.write_bytes(header + b"\n" + lines[1])
    before = sorted(folder.path.iterdir())
    for read in (lambda: export_leaderboard(folder.path, None, console), lambda: show_status(folder.path, console)):
        with pytest.raises(SweepError, match="belongs to another search space than sweep.toml"):
            read()
    with pytest.raises(SweepError, match="another search space"):
        load_sweep(folder.path).leaderboard  # noqa: B018
    assert sorted(folder.path.iterdir()) == before


def test_a_damaged_line_is_named_beside_the_figures_and_the_best_stays(folder, console):
    export_leaderboard(folder.path, None, console)
    best = folder.best.read_bytes()
    lines = folder.ledger.read_text().splitlines(keepends=True)
    (damaged,) = [number for number, line in enumerate(lines) if '"t0002"' in line and '"proposed"' in line]
    lines[damaged] = lines[damaged][:40] + "\n"
    folder.ledger.write_text("".join(lines))
    export_leaderboard(folder.path, None, console)
    assert f"The ledger is damaged: trials.jsonl line {damaged + 1} is damaged" in console.export_text()
    assert folder.best.read_bytes() == best


def test_a_trial_that_was_trained_further_by_hand_is_not_scored(folder, console, tmp_path, monkeypatch):
    """Its figures would stand beside the bound of an epoch that they are not of."""
    monkeypatch.setattr(LaunchOptions, "ray", lambda options: nullcontext([options.node]))
    for trial in BOUNDS:
        run = RunFolder(folder.trial(trial))
        later = Best(epoch=7, validation_negative_elbo=1.0)
        run.write_state(run.read_state().model_copy(update={"epochs": 9, "best": later}))
    machine = Machine(tmp_path, LaunchOptions())
    assert rerun_best(folder.path, {"top": 1}, Asked(), machine, console) == 1
    assert (
        "t0002 was trained further: best.pt is from epoch 7, but its leaderboard row is from epoch 1"
        in console.export_text()
    )
    assert status_of(read_sweep(folder)).unscored == ()


def test_a_rerun_scores_the_checkpoint_of_the_sweep_alone(folder, console, tmp_path):
    with pytest.raises(UserError, match=r"evaluation.checkpoint=last: the sweep ranks and scores best.pt"):
        rerun_best(
            folder.path,
            {},
            Asked(settings={"evaluation.checkpoint": "last"}),
            Machine(tmp_path, LaunchOptions()),
            console,
        )


@pytest.mark.parametrize(
    ("changes", "asked", "message"),
    [
        ({"top": 0}, Asked(), "`top` is 0, so there is nothing to score"),
        ({}, Asked(settings={"evaluation.until_error.budget_seconds": 3.0}), "a budget limits until_error"),
    ],
)
def test_a_rerun_that_would_do_nothing_is_refused(folder, console, tmp_path, changes, asked, message):
    with pytest.raises(UserError, match=message):
        rerun_best(folder.path, changes, asked, Machine(tmp_path, LaunchOptions()), console)
