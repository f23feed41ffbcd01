"""`compare`: what is paired, what is named and left out, and tables that do not say how they were made."""

import io
import os
import stat
import sys
import threading

import pandas as pd
import pytest
from rich.console import Console

from iafsweep.cli import sweep
from iafsweep.cli.commands.reading.compare import compare_trials, differences_table
from iafsweep.cli.commands.reading.export_model import export_trial
from iafsweep.errors import SweepError, UserError
from iafsweep.records import PairedDifference
from iafsweep.training import RunFolder
from tests.finished import finish_sweep
from tests.report.sweeps import SweepMaker, driver_at_work


def table(nll, **settings):
    images = [
        {"method": method, "settings": text, "split": "test", "binarisation_seed": 0, "image": image}
        for method, text in settings.items()
        for image in range(4)
    ]
    return pd.DataFrame(images).assign(log_likelihood=[-nll - row["image"] ** 2 * nll / 100 for row in images])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return finish_sweep(tmp_path_factory.mktemp("sweep") / "s")


def compare(folder, **tables):
    for trial, each in tables.items():
        each.to_parquet(RunFolder(folder.trial(trial)).per_image)
    console = Console(file=io.StringIO(), width=200)
    compare_trials(folder.path, list(tables), folder.path.parent / "out.csv", console)
    return console.file.getvalue()


def test_figures_made_with_different_settings_are_named_and_left_out(folder):
    said = compare(
        folder,
        t0002=table(100.0, hais="prior 5x2x2", importance_sampling="200 samples"),
        t0001=table(99.0, hais="posterior 10x2x4", importance_sampling="200 samples"),
    )
    assert "t0001 and t0002: HAIS posterior 10x2x4 against prior 5x2x2: not compared" in said.splitlines()
    csv = pd.read_csv(folder.path.parent / "out.csv")
    assert csv[["method", "settings", "images"]].values.tolist() == [["importance_sampling", "200 samples", 4]]
    assert "NLL, HAIS" not in said


def test_the_command_that_scores_alike_names_the_trials_and_their_settings(folder):
    good = {"hais": "posterior 10x2x4 schedule=sigmoid", "importance_sampling": "200 samples"}
    said = compare(
        folder,
        t0002=table(100.0, **good),
        t0001=table(99.0, hais="prior 5x2x2", importance_sampling="8 samples"),
    )
    (line,) = (each for each in said.splitlines() if each.startswith("To compare them"))
    assert line.endswith(
        f"rerun {folder.path} --trial t0002 --trial t0001 --samples 200 --hais posterior:10x2x4 "
        f"--set evaluation.hais.schedule=sigmoid"
    )
    assert "not compared" not in compare(folder, t0002=table(100.0, **good), t0001=table(99.0, **good))


def test_figures_of_several_settings_are_told_apart(folder):
    def both(nll):
        return pd.concat([table(nll, importance_sampling=f"{samples} samples") for samples in (8, 2000)])

    said = compare(folder, t0001=both(99.0), t0002=both(98.0))
    assert "NLL, IS, 8 samples" in said
    assert "NLL, IS, 2,000 samples" in said


def test_a_table_without_settings_is_refused_with_what_to_do(folder):
    tables = {"t0001": table(99.0, hais="prior 5x2x2"), "t0002": table(99.0, hais="prior 5x2x2")}
    with pytest.raises(
        UserError, match=r"does not record the settings with which t0002 was scored.*score the trial again"
    ):
        compare(folder, **tables | {"t0002": tables["t0002"].drop(columns="settings")})


def test_damaged_figures_of_a_trial_are_named_beside_the_comparison(folder):
    evaluation = RunFolder(folder.trial("t0001")).evaluation
    whole = evaluation.read_bytes() if evaluation.exists() else None
    evaluation.write_text("{")
    try:
        said = compare(folder, t0001=table(99.0, hais="prior 5x2x2"), t0002=table(98.0, hais="prior 5x2x2"))
    finally:
        evaluation.unlink() if whole is None else evaluation.write_bytes(whole)
    assert "NLL, HAIS" in said
    whence, problem = said.splitlines()[-3:-1]
    assert whence.startswith("Differences come from per_image.parquet")
    assert whence.endswith("Problems with figures that only the leaderboard shows:")
    assert problem.startswith("the test figures of t0001 are left out")


def test_a_trial_with_an_autoregressive_decoder_is_called_so_in_every_row():
    said = {"method": "hais", "split": "test", "settings": "prior 3x2x1", "images": 5, "second": "t0001"}
    differences = tuple(
        PairedDifference(first=name, difference=1.0, standard_error=0.5, first_autoregressive=name == "t0002", **said)
        for name in ("t0002", "t0003")
    )
    table = differences_table(differences, "t0001")
    assert [cells[0] for cells in table.texts] == ["t0002 (autoregressive decoder)", "t0003"]
    assert "nats more than t0001" in table.header
    turned = [each.model_copy(update={"second_autoregressive": True}) for each in differences]
    assert "nats more than t0001 (autoregressive decoder)" in differences_table(tuple(turned), "t0001").header


def test_too_few_trials_are_refused_with_what_helps(tmp_path):
    """Another name, a wait, or more scoring: never a command that is refused, or that would change nothing."""
    folder, console = finish_sweep(tmp_path / "s"), Console(file=io.StringIO())
    with pytest.raises(UserError, match=r"got t0001, t0001; name another trial, or none to compare all$"):
        compare_trials(folder.path, ["t0001", "t0001"], None, console)
    with pytest.raises(UserError, match=r"got none; score more: .* rerun .* --top 2$"):
        compare_trials(folder.path, [], None, console)
    with driver_at_work(folder), pytest.raises(UserError, match=r"got none; compare again later: a driver is at work"):
        compare_trials(folder.path, [], None, console)


def test_a_sweep_without_a_model_to_export_is_answered_with_an_option(tmp_path):
    folder = SweepMaker(tmp_path / "s").began().add("running").folder
    with pytest.raises(SweepError, match=r"no completed trial .* bound yet; try again later$"):
        export_trial(folder.path, None, tmp_path / "model", Console(file=io.StringIO()))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("command", ["export", "compare"])
@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_csv_on_standard_output_stands_there_alone(folder, monkeypatch, capfd, command, name):
    for trial in ("t0001", "t0002"):
        table(99.0, hais="prior 5x2x2").to_parquet(RunFolder(folder.trial(trial)).per_image)
    monkeypatch.setattr(sys, "argv", ["run_sweep.py", command, str(folder.path), "--csv", name])
    with pytest.raises(SystemExit) as end:
        sweep.main()
    shown = capfd.readouterr()
    assert end.value.code == 0
    assert len(pd.read_csv(io.StringIO(shown.out))) == (4 if command == "export" else 1)
    assert "t0001" in shown.err


@pytest.mark.parametrize("command", ["export", "compare"])
def test_a_csv_goes_through_a_pipe_and_to_where_a_link_leads(folder, tmp_path, monkeypatch, capfd, command):
    pipe, link, read = tmp_path / "pipe", tmp_path / "link.csv", []
    os.mkfifo(pipe)
    link.symlink_to("target.csv")
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    for name in (pipe, link):
        monkeypatch.setattr(sys, "argv", ["run_sweep.py", command, str(folder.path), "--csv", str(name)])
        with pytest.raises(SystemExit) as end:
            sweep.main()
        assert (end.value.code, f"CSV: {name}" in capfd.readouterr().out) == (0, True)
    reader.join(10)
    assert read == [(tmp_path / "target.csv").read_text()]
    assert (stat.S_ISFIFO(pipe.stat().st_mode), link.is_symlink()) == (True, True)


def test_the_file_is_written_before_the_table_is_printed(folder, tmp_path, monkeypatch):
    def gone(*given, **more):
        raise OSError("the terminal has gone")

    for trial in ("t0001", "t0002"):
        table(99.0, hais="prior 5x2x2").to_parquet(RunFolder(folder.trial(trial)).per_image)
    monkeypatch.setattr("iafsweep.cli.tables.print_table", gone)
    with pytest.raises(OSError, match="terminal"):
        compare_trials(folder.path, ["t0001", "t0002"], tmp_path / "out.csv", Console(file=io.StringIO()))
    assert len(pd.read_csv(tmp_path / "out.csv")) == 1
