"""Mistakes at `run_sweep.py`: one message, exit code 2, nothing left behind, nothing started."""

import inspect
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import typer
from rich.console import Console

from iafsweep import shown_command
from iafsweep.api import launch, results
from iafsweep.api.scoring.asked import with_hais
from iafsweep.cli import single, sweep, sweep_output
from iafsweep.cli.errors import EXIT_CODES
from iafsweep.cli.options.ray import Machine
from iafsweep.cli.options.sweep import shown_settings, trials
from iafsweep.cli.tables import print_table
from iafsweep.config import HaisConfig
from iafsweep.errors import UserError
from iafsweep.records import FigureCell, TextTable
from iafsweep.search_space.files import dump_space
from iafsweep.shown_command import sweep_command
from iafsweep.signals import Terminated
from iafsweep.sweep.scoring.retrain import retrain_folder
from iafsweep.sweep.storage.stored_sweep import read_sweep
from iafsweep.sweep.tune import options
from iafsweep.sweep.tune.driver import Session, SweepOutcome
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.texts import short_name
from iafsweep.version import VERSION
from tests.cli.test_single_signals import SIGNALLED_IN_AN_IMPORT
from tests.cli.tiny_run import ROOT
from tests.report.sweeps import SweepMaker


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["launch", "nowhere.toml"], "no such configuration: nowhere.toml"),
        (["launch", "reference"], "is a single configuration (it has no [search]), not a search space"),
        (["launch", "quick", "--set", "training.epoch=3"], "did you mean `training.epochs`?"),
        (["launch", "quick", "--set", "model.latent_size=3"], "it is searched; take it out of [search]"),
        (["launch", "quick", "--epochs", "2"], "grace"),
        (["launch", "quick", "--cpus-per-trial", "999"], "a trial asks for 999 CPU"),
        (
            ["launch", "quick", "--gpus-per-trial", "64"],
            "a trial asks for 1 CPU, 64 GPU and",
        ),
        (["launch", "quick", "--gpus-per-trial", "1.5"], "take a fraction below 1 or a whole number"),
        (["launch", "quick", "--name", "../elsewhere"], "use up to 100 letters, digits and . _ -, beginning with"),
        (["launch", "quick", "--trials", "0"], "Invalid value for '--trials'"),
        (["resume", "nowhere"], "nowhere is not a sweep folder"),
        (["export", "nowhere"], "nowhere is not a sweep folder"),
        (["rerun", "nowhere"], "nowhere is not a sweep folder"),
        (["rerun", "nowhere", "--sandwich", "0"], "Invalid value for '--sandwich'"),
        (["compare", "nowhere"], "nowhere is not a sweep folder"),
        (["preview", "reference_full"], "is a single configuration"),
        (["lunch"], "No such command 'lunch'"),
    ],
)
def test_mistakes_are_one_message(run_sweep, tmp_path, words, message):
    code, _, errors = run_sweep(*words)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_preview_shows_configurations_and_starts_nothing(run_sweep, tmp_path):
    words = ("preview", "quick", "--count", "4")
    code, shown, _ = run_sweep(*words)
    assert code == 0
    assert "How deep should a flow be on small networks?" in shown
    assert "parameters" in shown
    assert sum(line.split()[:1] == ["4"] for line in shown.splitlines()) >= 1
    again = run_sweep(*words)[1]
    other = run_sweep(*words, "--seed", "1")[1]
    assert shown == again != other
    assert list(tmp_path.iterdir()) == []


def test_an_existing_name_is_not_taken_again(run_sweep, tmp_path):
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    code, _, errors = run_sweep("launch", "quick", "--name", "mine")
    assert code == 2
    assert errors.endswith("exists; choose another --name\n")


def test_full_mnist_is_missed_before_anything_starts(run_sweep, tmp_path):
    code, _, errors = run_sweep("launch", "mnist", "--data-root", "/proc/nowhere")
    assert code == 2
    assert "cannot write MNIST to /proc/nowhere" in errors
    assert list(tmp_path.iterdir()) == []


def test_hais_in_a_word():
    config = HaisConfig(start="prior", temperatures=100, leapfrog_steps=5, chains=8, schedule="linear")
    assert with_hais(config, "off").enabled is False
    posterior = with_hais(config, "posterior")
    assert (posterior.enabled, posterior.start, posterior.resolved().chains) == (True, "posterior", 8)
    assert (posterior.resolved().temperatures, posterior.resolved().leapfrog_steps) == (80, 3)
    assert posterior.resolved().schedule == "linear"
    sizes = with_hais(config, "base:30x2x4")
    assert (sizes.start, sizes.temperatures, sizes.leapfrog_steps, sizes.chains) == ("base", 30, 2, 4)
    assert with_hais(config, "prior").resolved().schedule == "sigmoid"


@pytest.mark.parametrize("text", ["", "on", "prior:3", "prior:1x2", "prior:axbxc", "flow", "prior:1x2x3x4"])
def test_hais_that_is_not_understood(text):
    with pytest.raises(UserError, match="is not understood; use off, posterior, prior or base"):
        with_hais(HaisConfig(), text)
    with pytest.raises(UserError, match="at least 1"):
        with_hais(HaisConfig(), "prior:0x1x1")


def test_names_are_cut_to_what_tells_them_apart():
    paths = ["model.encoder.kind", "model.decoder.kind", "model.latent_size"]
    assert [short_name(path, paths) for path in paths] == ["encoder.kind", "decoder.kind", "latent_size"]


def printed(table, paths, width, *, is_terminal):
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=is_terminal, color_system=None, _environ={})
    print_table(console, table, paths, keys=2)
    return said.getvalue()


def wide_table():
    others = [f"heading{'x' * number}" for number in range(8)]
    return TextTable(
        header=("#", "trial", *others, "depth", "bound"),
        rows=(("1", "t0001", *"12345678", "3", FigureCell(value=101.5, error=0.25)),),
    )


def test_a_table_too_wide_for_the_terminal_names_what_it_leaves_out():
    table = wide_table()
    for width in range(30, 140):
        text = printed(table, ["depth"], width, is_terminal=True)
        assert all(len(line) <= width for line in text.splitlines()), width
        head, row = text.splitlines()[1], text.splitlines()[3]
        left_out = text.replace("\n", " ").partition("Columns left out: ")[2].partition(". A wider")[0].split(", ")
        words = [*head.split(), *filter(None, left_out)]
        assert sorted(words) == sorted(table.header), width  # each stands in one of the two, whole
        assert "101.50 ± 0.25" in row  # what matters most goes last
        assert ("depth" in head) or width < 36


def test_a_table_in_a_pipe_is_one_and_whole():
    head, _, row, *_ = printed(wide_table(), ["depth"], 30, is_terminal=False).splitlines()[1:]
    assert head.split() == list(wide_table().header)
    assert row.split() == ["1", "t0001", *"12345678", "3", "101.50", "±", "0.25"]


def test_a_table_shows_texts_as_they_are_and_aligned():
    rows = (("1", "t0001", "[red]", "3"), ("-", "t0002", "[300, 300]", "0.001 ± 3"), ("2", "t0003", "語", "x"))
    table = TextTable(header=("rank", "trial", "status", "bound"), rows=rows)
    said = io.StringIO()
    print_table(Console(file=said, width=80), table, [], keys=2)
    lines = said.getvalue().splitlines()
    assert lines[1:-1] == [
        " rank  trial  status          bound ",
        f" {'─' * 34} ",
        "    1  t0001  [red]               3 ",
        "    -  t0002  [300, 300]  0.001 ± 3 ",
        "    2  t0003  語                  x ",
    ]
    assert {line.strip() for line in (lines[0], lines[-1])} == {""}


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """A working directory with an environment in it that is not active."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    for name in ("python", "iafsweep-sweep"):
        (tmp_path / ".venv" / "bin" / name).symlink_to("/bin/true")
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setattr(sys, "argv", ["run_sweep.py", "launch"])
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".venv" / "bin"


def test_commands_to_go_on_can_be_pasted(monkeypatch, environment):
    assert shown_command.program() == [".venv/bin/python", "run_sweep.py"]
    monkeypatch.setattr(sys, "argv", [str(environment / "iafsweep-sweep")])
    assert shown_command.program() == [".venv/bin/iafsweep-sweep"]
    monkeypatch.chdir(environment)
    assert shown_command.program() == ["./iafsweep-sweep"]
    monkeypatch.chdir(environment.parents[1] / "work")
    monkeypatch.setattr(sys, "argv", ["../run_sweep.py", "launch"])
    assert shown_command.program() == ["../.venv/bin/python", "../run_sweep.py"]
    monkeypatch.chdir("/")
    assert shown_command.program()[0] == str(environment / "python")[1:]  # no longer than it must be


def test_commands_to_go_on_are_short_where_the_environment_is_active(monkeypatch, environment):
    monkeypatch.setenv("PATH", str(environment), prepend=":")
    assert shown_command.program() == ["python", "run_sweep.py"]
    monkeypatch.setattr(sys, "argv", [str(environment / "iafsweep-sweep")])
    assert shown_command.program() == ["iafsweep-sweep"]
    monkeypatch.setattr(sys, "argv", ["/nowhere/bin/iafsweep-sweep"])
    assert shown_command.program() == ["iafsweep-sweep"]


@pytest.mark.parametrize("script", ["run_sweep.py", "run_single.py"])
def test_an_interpreter_without_our_packages_is_one_message(script, tmp_path):
    path = os.path.relpath(Path(__file__).parents[2] / script, tmp_path)
    done = subprocess.run([sys.executable, "-S", path], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "has no package typer; run this with" in done.stderr
    assert f"{os.path.dirname(path)}/.venv/bin/python {path}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", ["run_sweep.py", "run_single.py"])
def test_scripts_are_programs(script):
    path = Path(__file__).parents[2] / script
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env python3\n")


@pytest.mark.parametrize("command", [("resume",), ("rerun",), ("extend", "--trials", "+1"), ("retrain",)])
def test_a_second_driver_is_refused_before_ray_starts(run_sweep, monkeypatch, tmp_path, command):
    def ray(options):
        raise AssertionError("Ray was started")

    monkeypatch.setattr(LaunchOptions, "ray", ray)
    folder = SweepMaker(tmp_path / "sweep").began().add(count=2).folder
    driven = [folder]
    if command == ("retrain",):
        into = retrain_folder(folder, 1, 5, all_images=False)
        into.create()
        shutil.copy(folder.space, into.space)
        driven, command = [into], ("retrain", "--top", "1", "--seeds", "5")
    with driven[0].lock():
        code, _, errors = run_sweep(command[0], folder.path, *command[1:])
    assert code == 2
    assert "is in use by another driver (process " in errors


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_signal_while_ray_starts_says_how_to_go_on_where_there_is_a_sweep(
    run_sweep, monkeypatch, tmp_path, interrupt, code
):
    def ray(options):
        raise interrupt

    monkeypatch.setattr(LaunchOptions, "ray", ray)
    SweepMaker(tmp_path / "sweep").began().add(count=2)
    ended, shown, _ = run_sweep("resume", "sweep")
    assert ended == code
    assert re.search(r"Interrupted. To go on:\n  \S*python\S* run_sweep.py resume sweep\n$", shown)
    ended, shown, _ = run_sweep("launch", "quick")
    assert ended == code
    assert shown.endswith("\nInterrupted before the sweep began; there is nothing to resume.\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("interrupt", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("iafsweep.cli.commands.running.launch.load_space", "Interrupted.\n"),
        (
            "iafsweep.api.launch.load_training_images",
            "Interrupted before the sweep began; there is nothing to resume.\n",
        ),
    ],
)
def test_a_signal_before_a_sweep_begins_is_a_line(run_sweep, monkeypatch, tmp_path, interrupt, code, place, said):
    def interrupted(*given, **named):
        raise interrupt

    monkeypatch.setattr(place, interrupted)
    ended, shown, errors = run_sweep("launch", "quick")
    assert (ended, (shown + errors).lstrip("\n")) == (code, said)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_during_the_imports_of_a_command_is_a_line(tmp_path):
    child = [sys.executable, "-c", SIGNALLED_IN_AN_IMPORT, str(int(signal.SIGINT)), "ray", ROOT / "run_sweep.py"]
    words = ["launch", "quick", "--runs", tmp_path]
    done = subprocess.run([*child, *words], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (130, "Interrupted before anything was written.\n")
    assert (
        done.stdout.strip()
        == "Stopping: nothing has been created yet; press Ctrl-C again after two seconds or more to stop at once"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["logs", "sweep", "t9999"], "sweep has no trial 't9999'; it has t0001, t0002"),
        (["compare", "sweep", "t0001", "x"], "sweep has no trial 'x'; it has t0001, t0002"),
        (["compare", "sweep", "x"], "sweep has no trial 'x'; it has t0001, t0002"),
        (
            ["status", "notes.md"],
            "notes.md is not a sweep folder: it has no sweep.toml; give a folder that launch created",
        ),
        (
            ["status", "nowhere"],
            "nowhere is not a sweep folder: it has no sweep.toml; give a folder that launch created",
        ),
        (["export", "sweep", "--csv", "."], "--csv . is a folder; name a file in it, such as leaderboard.csv"),
        (["compare", "sweep", "--csv", "."], "--csv . is a folder; name a file in it, such as differences.csv"),
        (["export", "sweep", "--csv", "sweep/trials.jsonl"], "--csv sweep/trials.jsonl lies in the sweep folder"),
        (["export", "sweep", "--csv", "x/../sweep/trials.jsonl"], "lies in the sweep folder"),
        (["export", "sweep", "--csv", "link/trials.jsonl"], "lies in the sweep folder"),
        (["compare", "sweep", "--csv", "sweep/trials.jsonl"], "--csv sweep/trials.jsonl lies in the sweep folder"),
        (["compare", "link", "--csv", "sweep/leaderboard.csv"], "lies in the sweep folder"),
        (["export-model", "sweep", "--to", "sweep/trials/t0009"], "--to sweep/trials/t0009 lies in the sweep folder"),
    ],
)
def test_what_cannot_be_read_or_written_there_is_named(run_sweep, tmp_path, words, message):
    folder = SweepMaker(tmp_path / "sweep").began().add(count=2).folder
    ledger = folder.ledger.read_bytes()
    (tmp_path / "notes.md").touch()
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(folder.path)
    code, _, errors = run_sweep(*words)
    assert code == 2
    assert folder.ledger.read_bytes() == ledger
    assert message in errors
    assert "Errno" not in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (["failed", "oom", "diverged"], 1),
        (["failed", "failed", "completed"], 0),
        (["failed", "stopped", "stopped"], 0),
    ],
)
def test_a_sweep_whose_trials_all_failed_is_no_success(run_sweep, monkeypatch, tmp_path, ends, expected):
    monkeypatch.setattr(LaunchOptions, "ray", lambda options: nullcontext([options.node]))
    maker = SweepMaker(tmp_path / "sweep", trials=len(ends)).began()
    for end in ends:
        maker.add(end, error="E")
    code, shown, errors = run_sweep("resume", maker.folder.path, "--top", 0)
    assert code == expected, errors
    assert "Leaderboard: " in shown
    if expected:
        assert run_sweep("rerun", maker.folder.path, "--top", 1)[0] == expected


@pytest.mark.parametrize("words", [("resume",), ("rerun", "--top", "1"), ("retrain", "--top", "1", "--seeds", "2")])
def test_a_disk_that_is_full_at_the_end_is_one_message(run_sweep, monkeypatch, tmp_path, words):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LaunchOptions, "ray", lambda options: nullcontext([options.node]))
    folder = SweepMaker(tmp_path / "sweep", trials=2).began().add("completed", count=2).folder
    if words[0] == "retrain":
        monkeypatch.setattr(launch, "complete", lambda *given: None)
    monkeypatch.setattr(results, "publish", full)
    code, _, errors = run_sweep(words[0], folder.path, *words[1:])
    assert code == 2
    assert f"cannot continue with {folder.path}: [Errno 28] No space left on device; everything saved before" in errors
    going_on = "resume sweep" if words == ("resume",) else shlex.join([words[0], str(folder.path), *words[1:]])
    assert errors.rstrip().endswith(f" run_sweep.py {going_on}")
    assert "Traceback" not in errors


@pytest.mark.parametrize("top", [2, 3])
def test_fewer_trials_than_were_asked_to_be_trained_again_are_said(run_sweep, monkeypatch, tmp_path, top):
    """Whenever: also when the same command goes on, with the trials that it began with."""
    folder = SweepMaker(tmp_path / "sweep", trials=3).began().add("completed", count=2).add("stopped").folder

    def complete(space, into, place):
        into.create()
        into.space.write_text(dump_space(space))
        ended = SweepOutcome("completed", read_sweep(folder).state)
        return launch.SweepEnd(ended, results.publish_results(read_sweep(folder), ()), 0)

    monkeypatch.setattr(launch, "complete", complete)
    for _ in range(2):
        code, shown, errors = run_sweep("retrain", folder.path, "--top", top, "--seeds", 2)
        assert code == 0, errors
        said = "--top 3: only 2 trials had completed, so each of them is trained again"
        assert (said in shown) == (top == 3)


def test_the_printed_command_goes_on_with_the_same_options(run_sweep, monkeypatch, tmp_path):
    words = ["--address", "10.0.0.1:6379", "--ray-folder=/r", "--allow-no-authentication", "--dashboard", "--wait"]
    words += ["--hours", "2.5", "--data-root", str(tmp_path / "my data"), "--tracker", "mlflow", "--seed", "3"]
    monkeypatch.setattr(sys, "argv", ["run_sweep.py", "launch", "mnist", *words])
    asked = LaunchOptions(
        address="10.0.0.1:6379", temporary="/r", allow_no_authentication=True, dashboard=True, wait=True, hours=2.5
    )
    machine = Machine(tmp_path / "my data", asked, "mlflow")
    folder = tmp_path / "runs" / "a b"
    folder.mkdir(parents=True)
    (folder / "sweep.toml").touch()
    printed = shlex.split(sweep_command("resume", folder))
    called = []
    monkeypatch.setattr(launch, "resume", lambda *given: called.append(given))
    monkeypatch.setattr(sweep_output, "run_and_print", lambda work, machine: called.append((work(None), machine)))
    assert run_sweep(*printed[printed.index("resume") :])[0] == 0
    (folder, changes, _), (_, taken) = called
    assert (folder, taken, set(changes.values())) == (Path("runs/a b"), machine, {None})


def test_a_launch_is_checked_once_and_before_images_are_loaded(run_sweep, monkeypatch):
    done, load = [], launch.load_training_images

    def interrupted(*given):
        done.append("training")
        raise KeyboardInterrupt

    monkeypatch.setattr(options, "check_room", lambda *given: done.append("check"))
    monkeypatch.setattr(launch, "load_training_images", lambda *given: done.append("images") or load(*given))
    monkeypatch.setattr(LaunchOptions, "ray", lambda options: nullcontext([options.node]))
    monkeypatch.setattr(Session, "run", interrupted)
    assert run_sweep("launch", "quick")[0] == 130
    assert done == ["check", "images", "training"]
    assert run_sweep("resume", "runs/quick-1")[0] == 130
    assert done[3:] == ["check", "images", "training"]


def test_that_there_is_nothing_to_retry_or_to_score_is_said_before_anything_of_gpus(run_sweep, tmp_path):
    """And what there is."""
    completed = SweepMaker(tmp_path / "completed").began().add(count=2).folder.path
    code, _, errors = run_sweep("retry", completed, "--status", "oom", "--gpus-per-trial", 64, "--cpus-per-trial", 999)
    assert (code, "GPU" in errors) == (2, False)
    assert errors.endswith("ended as oom; those that ended: 2 completed\n")
    failed = SweepMaker(tmp_path / "failed").began().add("failed", error="E").folder.path
    code, out, errors = run_sweep("rerun", failed, "--gpus-per-trial", 64)  # Ray, which none has, is not started
    assert (code, errors) == (1, "")
    assert out.startswith("No trial has completed, so there is nothing to score.\n")


def test_every_command_that_starts_ray_takes_the_options_of_the_machine():
    machine = {"address", "ray_folder", "wait", "dashboard", "allow_no_authentication"}
    starting = {"launch", "resume", "rerun", "extend", "retry", "retrain"}
    taken = {command.callback.__name__: set(inspect.signature(command.callback).parameters)
             for command in sweep.app.registered_commands}  # fmt: skip
    assert {name for name, options in taken.items() if machine & options} == starting
    assert all(machine | {"data_root"} <= taken[name] for name in starting), taken


@pytest.mark.parametrize("program", [sweep, single])
def test_the_version_is_told(monkeypatch, capsys, program):
    monkeypatch.setattr(sys, "argv", ["iafsweep-x", "--version"])
    with pytest.raises(SystemExit) as end:
        program.main()
    assert not end.value.code
    assert capsys.readouterr().out == f"iafsweep {VERSION}\n"


def test_exit_codes_are_told_in_one_way():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d[\d, ]*) \| (.+) \|$", readme, re.M)  # its table
    codes = "; ".join(re.sub("; (for a sweep also: .*)", r" (\1)", " ".join(row)) for row in rows)
    texts = {
        "run_sweep": sweep.app.info.help,
        "run_single": single.app.registered_commands[0].callback.__doc__,
        "README": f"Exit codes: {codes}.",
    }
    told = {name: f"Exit codes: {EXIT_CODES}." in " ".join(text.split()) for name, text in texts.items()}
    assert all(told.values()), told


def complete(words):
    """What a shell offers behind a line's words."""
    count = str(len(words.split()) - 1)
    variables = {"_IAFSWEEP_SWEEP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
    call = "import sys; sys.argv = ['iafsweep-sweep']; from iafsweep.cli.entry import run_sweep; run_sweep()"
    done = subprocess.run(
        [sys.executable, "-c", call], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def test_completion_knows_options_spaces_and_fields():
    assert "rerun" in complete("iafsweep-sweep re")
    assert "--warm-start" in complete("iafsweep-sweep launch --warm")
    assert "quick" in complete("iafsweep-sweep launch qu")
    assert "reference" not in complete("iafsweep-sweep launch ref")
    assert "model.latent_size=" in complete("iafsweep-sweep launch quick --set model.lat")
    assert complete("iafsweep-sweep retry runs/x --status o") == ["oom"]


def test_completion_knows_the_trials_and_settings_of_a_sweep(tmp_path):
    for trial in ("t0001", "t0002", "t0012.old-1"):
        (tmp_path / "trials" / trial).mkdir(parents=True)
    figures = {"estimates": [{"settings": "5000 samples"}, {"settings": "posterior 40x4x16"}]}
    (tmp_path / "trials" / "t0001" / "evaluation.json").write_text(json.dumps(figures))
    context = typer.Context(typer.main.get_command(sweep.app))
    context.params = {"folder": str(tmp_path)}
    assert trials(context, "t0") == ["t0001", "t0002"]
    assert trials(context, "t0002") == ["t0002"]
    assert shown_settings(context, "") == ["'5000 samples'", "'posterior 40x4x16'"]
    context.params = {}
    assert trials(context, "") == []
    assert complete(f"iafsweep-sweep rerun {tmp_path} --trial t0002") == ["t0002"]  # of its parameters none is known
