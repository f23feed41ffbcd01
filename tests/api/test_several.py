"""Several sweeps as one: their names, their leaderboard, what it says of fields that one of them does not search."""

import io
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import iafsweep
from iafsweep.cli.commands.reading.compare import compare_folders
from iafsweep.cli.commands.reading.export import export_combined
from iafsweep.cli.sweep import main
from iafsweep.errors import SweepError, UserError
from iafsweep.records import Fingerprint
from iafsweep.results.several import read_several
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.training import RunFolder
from tests.cli.test_compare import table
from tests.finished import SPACE, VALUES
from tests.report.sweeps import SweepMaker, evaluation
from tests.several import begun, images, recorded, rewrite

DEPTHS = {"model.encoder.kind": "mlp", "model.latent_size": 16, "training.learning_rate": 1e-3}


def values(depth):
    flow = {"model.flow.made.width": 64} if depth else {}
    return DEPTHS | {"model.flow.depth": depth} | flow


@pytest.fixture
def runs(tmp_path):
    """Two sweeps over the same images: in the second the better trials, and another number of epochs."""
    first = SweepMaker(tmp_path / "runs" / "flows", seed=1).began()
    for depth in (0, 1):
        first.add(parameters=values(depth))
    first.add("failed", parameters=values(2)).score("t0001", "t0002")
    second = SweepMaker(tmp_path / "runs" / "deep", seed=2, epochs=10).began()
    for depth in (4, 3):
        second.add(parameters=values(depth))
    second.score("t0001")
    rewrite(second.folder, training={"batch_size": 100})
    begun(second.folder, "2026-02-01T00:00:00+00:00")
    for folder, trial, nll in ((first.folder, "t0001", 96.0), (first.folder, "t0002", 95.0),
                               (second.folder, "t0001", 94.0)):  # fmt: skip
        images(folder, trial, nll)
    return tmp_path / "runs"


def both(runs):
    return [runs / "flows", runs / "deep"]


def console():
    return Console(width=400, record=True, file=io.StringIO())


def test_sweeps_are_loaded_the_oldest_first_and_the_broken_are_named(runs):
    (runs / "broken").mkdir()
    (runs / "broken" / "sweep.toml").touch()
    with pytest.warns(UserWarning, match="broken is left out: .* is not a stored search space"):
        sweeps = iafsweep.load_sweeps(str(runs))
    assert [sweep.path.name for sweep in sweeps] == ["flows", "deep"]
    assert sweeps[1].rows == iafsweep.load_sweep(runs / "deep").rows
    with pytest.raises(SweepError, match="cannot read"):
        iafsweep.load_sweeps(runs / "nowhere")


def test_one_leaderboard_ranks_the_trials_of_all(runs):
    sweeps = iafsweep.load_sweeps(runs)
    board = iafsweep.combined_leaderboard(sweeps)
    bounds = {(sweep.path.name, row.trial): row.validation_negative_elbo for sweep in sweeps for row in sweep.rows}
    ranked = board[board["rank"].notna()]
    assert list(board.columns[:4]) == ["rank", "sweep", "trial", "status"]
    assert sorted(zip(board["sweep"], board["trial"], strict=True)) == sorted(bounds)
    assert list(ranked["rank"]) == [1, 2, 3, 4]
    shown = [bounds[each] for each in zip(ranked["sweep"], ranked["trial"], strict=True)]
    assert shown == sorted(bound for bound in bounds.values() if bound is not None)
    assert ranked["sweep"].iloc[0] == "deep"
    by_trial = board.set_index(["sweep", "trial"])
    assert by_trial["training.batch_size"].to_dict() == {
        key: 100 if key[0] == "deep" else 200 for key in by_trial.index
    }  # neither searches it
    single = iafsweep.load_sweep(runs / "flows").leaderboard.set_index("trial").loc["t0002"]
    assert by_trial.loc[("flows", "t0002"), "nll_importance_sampling"] == single["nll_importance_sampling"]
    assert by_trial.loc[("flows", "t0002"), "checkpoint"] == "flows/trials/t0002/best.pt"
    assert iafsweep.combined_leaderboard([str(each) for each in both(runs)]).equals(board)


def test_what_a_sweep_fixes_stands_beside_what_another_searches(runs):
    """Where it does something: there is no width without a flow."""
    recorded(runs / "small", SPACE, *VALUES)
    board = iafsweep.combined_leaderboard([runs / "small", runs / "flows"]).set_index(["sweep", "trial"])
    assert list(board.columns).index("model.encoder.kind") < list(board.columns).index("epochs")
    assert board.loc[("small", "t0001"), "model.encoder.kind"] == "mlp"
    assert board.loc[("small", "t0001"), "model.latent_size"] == 4
    assert board.loc[("small", "t0001"), "model.flow.made.width"] == 8
    assert pd.isna(board.loc[("small", "t0002"), "model.flow.made.width"])
    assert pd.isna(board.loc[("flows", "t0001"), "model.flow.made.width"])
    assert board.loc[("small", "t0001"), "training.epochs"] == 2
    assert board.loc[("small", "t0001"), "model.encoder.mlp.hidden_sizes"] == "[16]"
    assert board.loc[("flows", "t0001"), "model.encoder.mlp.hidden_sizes"] == "[1000, 1000, 1000]"
    assert "model.decoder.mlp.hidden_sizes" not in board.columns  # the other one's decoder is of another kind


def test_sweeps_of_one_name_are_told_apart_and_one_named_twice_is_one(runs, tmp_path):
    copy = tmp_path / "elsewhere" / "flows"
    shutil.copytree(runs / "flows", copy)
    (tmp_path / "link").symlink_to(runs / "deep")
    found = read_several([runs / "flows", copy, runs / "deep", tmp_path / "link", runs / "x" / ".." / "deep"])
    assert list(found.sweeps) == ["runs/flows", "elsewhere/flows", "runs/deep"]
    assert {row.trial for row in found.rows if row.trial.endswith("t0003")} == {
        "runs/flows/t0003", "elsewhere/flows/t0003",
    }  # fmt: skip
    (tmp_path / "far" / "in").mkdir(parents=True)
    shutil.copytree(runs / "deep", tmp_path / "far" / "deep")
    (runs / "into").symlink_to(tmp_path / "far" / "in")
    (found,) = read_several([runs / "into" / ".." / "deep"]).sweeps.values()
    assert found.folder.path == tmp_path / "far" / "deep"
    with pytest.raises(SweepError, match="no sweep is named"):
        iafsweep.combined_leaderboard([])


def test_sweeps_without_a_trial_yet(runs):
    fresh = SweepMaker(runs / "fresh").folder.path
    board = iafsweep.combined_leaderboard([fresh])
    assert (len(board), list(board.columns[:3])) == (0, ["rank", "sweep", "trial"])
    assert len(iafsweep.combined_leaderboard([runs / "flows", fresh])) == 3
    with pytest.raises(UserError, match="got none; fresh has no trial with per-image figures"):
        iafsweep.compare_sweeps([fresh])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"split_seed": 3}, r"flows: .*held out \(seed 0\); deep: .*held out \(seed 3\)"),
        ({"binarisation_seed": 5}, r"flows: .*bits \(seed 0\).*; deep: .*bits \(seed 5\)"),
        ({"source": "fashion_mnist"}, "flows: mnist_mini, .*; deep: fashion_mnist, "),
        ({"validation_images": 500}, "flows: .*1000 held out.*; deep: .*500 held out"),
    ],
)
def test_unlike_images_splits_and_bits_are_refused(runs, changed, told):
    rewrite(SweepFolder(runs / "deep"), data=changed)
    for refused in (
        lambda: iafsweep.combined_leaderboard(both(runs)),
        lambda: iafsweep.compare_sweeps(both(runs)),
        lambda: compare_folders([(each, []) for each in both(runs)], None, console()),
        lambda: export_combined(both(runs), None, console()),
    ):
        with pytest.raises(
            SweepError, match=f"different images, splits or bits, .*: {told}.*; name sweeps that use the same$"
        ):
            refused()


def test_images_that_differ_by_their_checksums_are_refused(runs):
    for name, checksum in (("flows", "ab" * 16), ("deep", "cd" * 16)):
        for trial in ("t0001", "t0002"):
            run = RunFolder(runs / name / "trials" / trial)
            told = {"test": Fingerprint(count=10, shape=(1, 28, 28), checksum=checksum)}
            run.write_state(run.read_state().model_copy(update={"images": told}))
    with pytest.raises(
        SweepError, match="the test images of deep are not those of flows: .*cdcdcdcd instead of .*abab"
    ):
        iafsweep.combined_leaderboard(both(runs))


def test_all_trials_with_figures_are_compared_with_the_best_of_them(runs):
    found = iafsweep.compare_sweeps(iafsweep.load_sweeps(runs))
    assert found.first == "deep/t0001"
    assert [(each.first, each.images) for each in found.differences] == [("flows/t0002", 20), ("flows/t0001", 20)]
    mean = 1 + sum(range(20)) / 20 / 100
    assert [each.difference for each in found.differences] == pytest.approx([mean, 2 * mean])
    assert all(each.standard_error > 0 for each in found.differences)


def test_the_command_names_the_best_of_all_and_of_each_sweep(runs, tmp_path):
    SweepMaker(runs / "new")
    shown, csv = console(), tmp_path / "d.csv"
    compare_folders([(each, []) for each in (*both(runs), runs / "new")], csv, shown)
    lines = shown.export_text().splitlines()
    rows = read_several(both(runs)).rows
    least, second = rows[0], next(row for row in rows if row.trial.startswith("flows"))
    assert lines[0] == (
        f"best of 5 trials in 3 sweeps by the validation bound on 1,000 images: {least.trial}, "
        f"{least.validation_negative_elbo:.2f} nats"
    )
    above = second.validation_negative_elbo - least.validation_negative_elbo
    assert (
        lines[1] == f"best of flows: {second.trial}, {second.validation_negative_elbo:.2f} nats, {above:.2f} nats above"
    )
    assert lines[2] == "best of new: none, no trial has completed with a finite bound"
    assert any("nats more than deep/t0001" in each for each in lines)
    assert any(each.startswith("new has no trial with per-image figures; only completed trials") for each in lines)
    assert pd.read_csv(csv)["first"].tolist() == ["flows/t0002", "flows/t0001"]


def test_figures_made_with_other_settings_are_named_with_a_command_for_each_sweep(runs):
    for folder, trial in ((runs / "flows", "t0001"), (runs / "flows", "t0002")):
        table(95.0, importance_sampling="500 samples").to_parquet(RunFolder(folder / "trials" / trial).per_image)
    shown = console()
    compare_folders([(each, []) for each in both(runs)], None, shown)
    text = shown.export_text()
    assert "flows/t0001 and deep/t0001: IS 500 samples against 1,000 samples: not compared" in text
    (line,) = (each for each in text.splitlines() if each.startswith("To compare them"))
    assert line.endswith(f"rerun {runs / 'flows'} --trial t0001 --trial t0002 --samples 1000")


def test_cells_say_what_figures_of_a_column_do_not_share(runs):
    other = evaluation(0.02)
    estimates = tuple(
        each.model_copy(update={"images": 500, "settings": "50 samples"})
        if each.method == "importance_sampling"
        else each
        for each in other.estimates
    )
    RunFolder(runs / "deep" / "trials" / "t0001").write_evaluation(other.model_copy(update={"estimates": estimates}))
    shown = console()
    export_combined(both(runs), None, shown)
    text = shown.export_text()
    assert "2% untrusted (500 images, 50 samples)" in text
    assert "2% untrusted (1,000 images, 1,000 samples)" in text


def test_what_no_column_shows_is_a_note(runs):
    folder = SweepFolder(runs / "deep")
    rewrite(folder, evaluation={"checkpoint": "last"})
    folder.ledger.write_text(folder.ledger.read_text().replace("cpu (1 threads)", "NVIDIA H100"))
    shown = console()
    export_combined(both(runs), None, shown)
    text = shown.export_text()
    assert "Test figures come from different checkpoints: flows best.pt; deep last.pt." in text
    assert "come from different machines: flows cpu (1 threads); deep NVIDIA H100." in text
    assert read_several([runs / "flows"]).notes == ()


def test_settings_to_show_need_be_those_of_one_sweep(runs):
    estimates = tuple(
        each.model_copy(update={"settings": "7 samples", "nll": 1.5}) for each in evaluation(0.0).estimates
        if each.method == "importance_sampling"
    )  # fmt: skip
    run = RunFolder(runs / "deep" / "trials" / "t0001")
    run.write_evaluation(run.read_evaluation().model_copy(update={"estimates": estimates}))
    board = iafsweep.combined_leaderboard(both(runs), show="7 samples").set_index(["sweep", "trial"])
    assert board["nll_importance_sampling"].dropna().to_dict() == {("deep", "t0001"): 1.5}
    with pytest.raises(
        UserError, match="'8 samples': no test figure was measured with these settings; available: .*7 samples"
    ):
        iafsweep.combined_leaderboard(both(runs), show="8 samples")


@pytest.fixture
def run_sweep(monkeypatch, capfd, runs):
    def run(*words):
        monkeypatch.chdir(runs)
        monkeypatch.setattr("sys.argv", ["run_sweep.py", *words])
        with pytest.raises(SystemExit) as end:
            main()
        shown = capfd.readouterr()
        return end.value.code or 0, shown.out, shown.err

    return run


def test_trials_stand_behind_their_sweep(run_sweep):
    code, out, err = run_sweep("compare", "flows", "t0002", "deep", "t0001")
    assert (code, err) == (0, "")
    assert "nats more than flows/t0002" in out
    assert " deep/t0001 " in out
    assert " flows/t0001 " not in out
    code, out, _ = run_sweep("compare", "flows", "t0001", "deep", "flows", "t0002")
    assert "nats more than flows/t0001" in out
    assert " flows/t0002 " in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "flows", "deep", "t0009"], "deep has no trial 't0009'; it has t0001, t0002"),
        (["compare", "flows", "deeep"], "flows has no trial 'deeep'; it has t0001"),
        (["compare", "flows", "./deeep"], "deeep is not a sweep folder"),
        (["compare", "flows", "t0003", "deep"], "flows: t0003 has no figures and cannot be scored"),
        (["compare", "deep", "deep"], "needs at least two different scored trials, got deep/t0001; name another"),
        (["compare", "flows", "deep", "--csv", "deep/x.csv"], "--csv deep/x.csv lies in the sweep folder"),
        (["export", "flows", "deep", "--csv", "deep/x.csv"], "--csv deep/x.csv lies in the sweep folder"),
        (["export", "flows", "deep", "--csv", "nowhere/x.csv"], "use --csv to name a file that can be written"),
        (["export", "flows", "nowhere"], "nowhere is not a sweep folder"),
        (["export", "flows", "deep", "--optuna", "x"], "an Optuna journal holds one sweep, but 2 are named"),
    ],
)
def test_mistakes_are_one_message(run_sweep, words, message):
    code, _, err = run_sweep(*words)
    assert (code, message in err, "Traceback" in err) == (2, True, False), err


def test_the_combined_leaderboard_is_written_where_it_is_asked_for_and_nowhere_else(run_sweep, runs):
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    assert run_sweep("export", "flows", "deep")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before
    code, out, _ = run_sweep("export", "flows", "deep", "--csv", "both.csv")
    assert (code, "CSV: both.csv" in out) == (0, True)
    written, board = pd.read_csv(runs / "both.csv"), iafsweep.combined_leaderboard(both(runs))
    assert written["trial"].tolist() == (board["sweep"] + "/" + board["trial"]).tolist()
    assert written["training.batch_size"].tolist() == board["training.batch_size"].tolist()
    code, out, _ = run_sweep("export", "flows", "deep", "--csv", "-")
    assert (code, out) == (0, (runs / "both.csv").read_text())


def test_damage_costs_no_more_than_itself_and_is_named_by_its_sweep(runs):
    damaged = RunFolder(runs / "flows" / "trials" / "t0001").evaluation
    damaged.write_text("{")
    (runs / "deep" / "trials" / "t0002" / "best.pt").unlink()
    shown = console()
    export_combined(both(runs), None, shown)
    text = shown.export_text()
    assert "flows: the test figures of t0001 are left out: " in text
    assert "Missing checkpoints, 1 in all: deep/trials/t0002/best.pt" in text


def test_the_python_of_the_page_runs(runs, monkeypatch):
    monkeypatch.chdir(runs.parent)
    page = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    exec(compile(block, "sweeps.md", "exec"), {})
