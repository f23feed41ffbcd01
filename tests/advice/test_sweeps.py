"""What messages on sweeps advise, done where they advise it."""

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import pytest

import iafsweep
from iafsweep.errors import SweepError
from iafsweep.search_space.files import dump_space
from iafsweep.sweep.storage.events import Finished
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.sweep.storage.ledger import Ledger
from iafsweep.sweep.storage.stored_sweep import open_ledger, read_sweep
from iafsweep.sweep.tune.driver import Session
from iafsweep.sweep.tune.options import LaunchOptions
from iafsweep.training import RunFolder
from tests.advice.conftest import commands_in
from tests.advice.places import covers
from tests.compatibility.folders import VERSIONS, unpack
from tests.report.sweeps import driver_at_work

SCORED = ("--samples", 5, "--set", "evaluation.importance_sampling.images=10")


def end(folder, trial, status):
    """Say in the ledger how a trial ended."""
    with Ledger.open(folder.ledger) as ledger:
        ledger.append(Finished(trial=trial, status=status, epochs=0, seconds=0.0, gpu_seconds=0.0, error="E", time="t"))


def ended(folder):
    return [trial.finished.status for trial in read_sweep(folder).state.trials if trial.finished]


def rewrite(folder, old, new):
    """Change the rows of a ledger."""
    folder.ledger.write_text(folder.ledger.read_text().replace(old, new))


@covers("cli/commands/reading/status.py", "resume_command(", "to score: {sweep_command('rerun'")
@covers("sweep/storage/stored_sweep.py", "sweep_command('resume', folder.path, *resume_options")
def test_status(cli, training, folder):
    said = cli.sweep("status", folder.path)
    assert "\nto go on: " in said.out
    assert "not scored" not in said.out
    cli.paste(said.out)
    assert ended(folder) == ["completed", "completed", "failed", "completed"]
    for trial in ("t0001", "t0002"):
        RunFolder(folder.trial(trial)).evaluation.unlink()
    said = cli.sweep("status", folder.path)
    assert "to go on" not in said.out
    assert "\nnot scored: t0001, t0002; to score: " in said.out
    cli.paste(said.out)
    assert "not scored" not in cli.sweep("status", folder.path).out


@covers("cli/commands/running/stop.py", "sweep_command('resume'")
@pytest.mark.slow
def test_a_sweep_that_is_asked_to_stop(cli, training, folder):
    with driver_at_work(folder):
        said = cli.sweep("stop", folder.path)
    cli.paste(said.out)
    assert "to go on" not in cli.sweep("status", folder.path).out


@covers("api/results.py", "score more: ", "sweep_command('rerun', sweep.folder.path, '--trial', trial)")
@covers("api/results.py", "score it first", "score the trial again: {rerun}", "which reuses existing results: {rerun}")
@pytest.mark.slow
def test_compare_without_figures_to_compare(cli, training, folder):
    for trial in ("t0001", "t0002"):
        RunFolder(folder.trial(trial)).evaluation.unlink(missing_ok=True)
    said = cli.sweep("compare", folder.path)
    assert (said.code, "score more: " in said.err) == (2, True)
    cli.paste(said.err)
    assert cli.sweep("compare", folder.path).code == 0
    images = RunFolder(folder.trial("t0002")).per_image
    for damage, advice in (
        (images.unlink, "score it first: "),
        (lambda: images.write_bytes(b"no table"), "score the trial again: "),
        (
            lambda: pd.read_parquet(images).drop(columns="settings").to_parquet(images),
            "which reuses existing results: ",
        ),
    ):
        damage()
        said = cli.sweep("compare", folder.path, "t0001", "t0002")
        assert (said.code, advice in said.err) == (2, True), said.err
        cli.paste(said.err)
        assert cli.sweep("compare", folder.path, "t0001", "t0002").code == 0


@pytest.mark.slow
def test_no_command_is_advised_where_none_can_score_a_second_trial(cli, training, folder):
    said = cli.sweep("compare", folder.path, "t0001", "t0003")
    assert "t0003 has no figures and cannot be scored" in cli.sweep("compare", folder.path, "t0003", "t0001").err
    rewrite(folder, '"status":"completed","epochs":2,"value":102.0', '"status":"failed","epochs":2,"value":102.0')
    assert ended(folder) == ["completed", "failed", "failed"]
    said = cli.sweep("compare", folder.path)
    assert said.code == 2
    assert said.err.endswith("only completed trials can be scored, and the sweep has 1\n")


@covers("cli/commands/reading/compare.py", "sweep_command('rerun'")
@pytest.mark.slow
def test_compare_of_figures_with_other_settings(cli, training, folder):
    cli.sweep("rerun", folder.path, "--trial", "t0001", *SCORED)
    cli.sweep("rerun", folder.path, "--trial", "t0002", "--samples", 6, "--hais", "prior:3x1x2", *SCORED[2:],
              "--set", "evaluation.hais.images=3", "--set", "evaluation.hais.pilot_passes=1")  # fmt: skip
    said = cli.sweep("compare", folder.path, "t0001", "t0002")
    assert "samples: not compared" in said.out
    cli.paste(said.out)
    said = cli.sweep("compare", folder.path, "t0001", "t0002")
    assert "not compared" not in said.out


@covers("api/rerun.py", "sweep_command('rerun', sweep.folder.path, '--top', 5)")
def test_rerun_of_nothing(cli, training, folder):
    said = cli.sweep("rerun", folder.path, "--top", 0)
    assert (said.code, "nothing to score; say how many to score: " in said.err) == (2, True)
    cli.paste(said.err)


@covers("api/rerun.py", "score it as a single run: {run_command(")
@pytest.mark.slow
def test_a_trial_that_was_trained_further(cli, training, folder):
    run = folder.trial("t0002")
    assert cli.run("--run", run, "--resume", "--set", "training.epochs=3", "--device", "cpu").code == 0
    rewrite(folder, '"best_epoch":2', '"best_epoch":1')  # whichever epoch of them was the best
    figures = RunFolder(run).read_evaluation()
    RunFolder(run).evaluation.unlink()
    said = cli.sweep("rerun", folder.path, "--trial", "t0002", "--data-root", "some data")
    assert "was trained further" in said.text
    assert "--data-root 'some data'" in said.text
    cli.paste(said.text)
    assert RunFolder(run).read_evaluation().epoch == figures.epoch


@covers("run_files/run_folder.py", "score it again: ", "continue the run to write it again: ")
@pytest.mark.slow
def test_damaged_files_of_a_trial(cli, training, folder):
    run = RunFolder(folder.trial("t0002"))
    cli.sweep("rerun", folder.path, "--trial", "t0002")
    run.evaluation.write_text("{")
    said = cli.sweep("export", folder.path)
    assert "The test figures of t0002 are left out: " in said.out
    cli.paste(said.out)
    assert "left out" not in cli.sweep("export", folder.path).out
    before = run.read_state()
    run.state.write_text("{")
    said = cli.sweep("rerun", folder.path, "--trial", "t0002", *SCORED)
    assert "t0002 cannot be scored: " in said.out
    cli.paste(said.out)
    assert run.read_state().epochs == before.epochs
    assert cli.sweep("rerun", folder.path, "--trial", "t0002", *SCORED).code == 0


@covers("api/sweep.py", "continue the sweep: ", "retry trials: ", "train more trials: ")
@covers("cli/commands/reading/export_model.py", "take another trial: ")
@pytest.mark.slow
def test_a_sweep_without_a_good_trial(cli, training, folder, tmp_path):
    rewrite(folder, '"status":"completed"', '"status":"stopped"')
    said = cli.sweep("export-model", folder.path, "--to", tmp_path / "a model")
    assert said.code == 2
    cli.paste(said.err)
    assert iafsweep.load_run(tmp_path / "a model").epoch in (1, 2)

    def best():
        with pytest.raises(SweepError) as error:
            iafsweep.load_sweep(folder.path).best()
        return str(error.value)

    saved = folder.ledger.read_bytes()
    for ending, advice in (
        ((), "continue the sweep: "),
        (("diverged",), "retry trials: "),
        (("stopped",), "train more trials: "),
    ):
        folder.ledger.write_bytes(saved)
        for status in ending:
            end(folder, "t0004", status)
            if status == "stopped":
                rewrite(folder, '"status":"failed"', '"status":"stopped"')
        assert advice in best()
        cli.paste(best())
        assert iafsweep.load_sweep(folder.path).best().epoch in (1, 2)


@covers("api/launch.py", "start it: ")
@pytest.mark.slow
def test_retry_of_a_sweep_that_never_began(cli, training, folder):
    folder.ledger.unlink()
    said = cli.sweep("retry", folder.path, "--status", "oom")
    assert (said.code, "its sweep never started" in said.err) == (2, True)
    cli.paste(said.err)
    assert ended(folder) == ["completed"] * 4


@covers("api/launch.py", ", or continue it: ", "choose another --name{or_go_on}", "--runs names the parent folder")
@covers("api/launch.py", "choose another --runs", "as in --trials +50")
@covers("sweep/storage/folder.py", "choose another --runs folder")
@pytest.mark.slow
def test_names_and_places_of_a_launch(cli, training, folder, tmp_path):
    space = shutil.copy(folder.space, tmp_path / "one.toml")
    runs, name = folder.path.parent, "one"
    folder.path.rename(runs / name)
    folder = SweepFolder(runs / name)
    said = cli.sweep("launch", space, "--runs", runs, "--name", name)
    assert (said.code, "choose another --name, or continue it: " in said.err) == (2, True)
    cli.paste(said.err)
    assert len(ended(folder)) == 4
    assert cli.sweep("launch", space, "--runs", runs, "--name", "another").code == 0

    said = cli.sweep("launch", space, "--name", "sub/other")
    assert "--runs names the parent folder" in said.err
    assert cli.sweep("launch", space, "--runs", "sub", "--name", "other").code == 0
    (tmp_path / "file").touch()
    for taken in ("file", "sub/other/sweep.toml/in"):
        said = cli.sweep("launch", space, "--runs", taken)
        assert (said.code, "choose another --runs" in said.err) == (2, True)
    assert cli.sweep("launch", space, "--runs", "elsewhere").code == 0
    with pytest.raises(SweepError, match="choose another --runs folder$"):
        SweepFolder(tmp_path / "file" / "sweep").create()

    said = cli.sweep("extend", folder.path, "--trials", 4)
    assert said.err.endswith("ask for more, as in --trials +50\n")
    assert cli.sweep("extend", folder.path, "--trials", "+50").code == 0
    assert len(ended(folder)) == 54


@covers("rehearsal/curves.py", "sweep_command('extend', origin, ")
def test_a_sweep_of_too_few_trials_to_rehearse_with(cli, training, folder):
    words = ("rehearse", folder.space, "--curves", folder.path, "--samplers", "random", "--schedulers", "none")
    said = cli.sweep(*words)
    assert (said.code, "a rehearsal needs at least 12" in said.err) == (2, True)
    cli.paste(said.err)
    assert cli.sweep(*words).code == 0


@covers("cli/tables.py", "sweep_command('retrain', folder.path, *board.retrain)")
def test_what_tells_which_trial_is_truly_the_best(cli, training, folder):
    said = cli.sweep("export", folder.path)
    assert "The size of the effect is unknown" in " ".join(said.out.split())
    ((_, words),) = commands_in(said.text)
    assert words[0] == "retrain"
    assert words[-4:] == ["--top", "2", "--seeds", "5"]
    cli.paste(said.text)
    said = cli.sweep("export", folder.path)
    told = " ".join(said.out.split())
    assert "with another seed, t0001 is expected to reach 105.00, 4.00 nats higher" in told
    assert "truly the best: t0001 50%, t0002 50%." in told  # these seeds all agree: more would tell no more
    assert "To find out which" not in told
    assert "4.00 nats higher" in folder.leaderboard_markdown.read_text()
    curse = iafsweep.load_sweep(folder.path).winners_curse
    assert (curse.trial, curse.degrees_of_freedom, curse.seeds) == ("t0001", 8, {"t0001": 5, "t0002": 5})
    assert curse.regression == pytest.approx(4)


@covers("api/launch.py", "launch a larger one: ")
@covers("sweep/scoring/retrain.py", "launch it again with another seed instead: ")
@pytest.mark.slow
def test_a_population(cli, training, tmp_path):
    folder = SweepFolder(unpack(VERSIONS[0], "population", tmp_path))
    for words, checked in (
        (("extend", folder.path, "--trials", "+2"), lambda space: space.sweep.trials == 6),
        (("retrain", folder.path, "--top", 1), lambda space: space.sweep.seed == 1),
    ):
        said = cli.sweep(*words)
        assert (said.code, "trained a population" in said.err) == (2, True)
        before = set(tmp_path.iterdir())
        cli.paste(said.err)
        (made,) = set(tmp_path.iterdir()) - before
        found = read_sweep(SweepFolder(made))
        assert checked(found.space)
        assert len(found.state.finished) == found.space.sweep.trials


@covers("cli/sweep_output.py", "this_command()", "sweep_command('resume', folder.path)")
@pytest.mark.parametrize("moment", ["Ray starts", "trials train"])
@pytest.mark.parametrize(
    "words", [("extend", "--trials", "+2"), ("resume", "--top", "1"), ("retry", "--status", "failed")]
)
@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_as_it_was_asked(cli, training, folder, monkeypatch, words, moment):
    @contextmanager
    def interrupted(options):
        monkeypatch.setattr(LaunchOptions, "ray", ray)
        raise KeyboardInterrupt
        yield

    command, *rest = words
    ray = LaunchOptions.ray
    if moment == "trials train":
        training.raises = KeyboardInterrupt()
    else:
        monkeypatch.setattr(LaunchOptions, "ray", interrupted)
    said = cli.sweep(command, folder.path, *rest, "--data-root", "some data")
    assert (said.code, "Interrupted. To go on:\n" in said.out) == (130, True), said.text
    assert "--data-root 'some data'" in said.out
    cli.paste(said.out)
    expected = {"extend": (6, "failed"), "resume": (4, "failed"), "retry": (4, "completed")}[command]
    found = ended(folder)
    assert (len(found), found[2]) == expected
    assert read_sweep(folder).space.sweep.top == (1 if command == "resume" else 3)


@covers("cli/commands/running/retrain.py", "this_command()")
@pytest.mark.slow
def test_an_interrupted_retraining_goes_on_to_the_sweeps_own_leaderboard(cli, training, folder):
    training.raises = KeyboardInterrupt()
    said = cli.sweep("retrain", folder.path, "--top", 1, "--seeds", 2)
    assert said.code == 130
    again = cli.paste(said.out)
    assert again.out.count("Report: ") == 2
    assert len(ended(SweepFolder(folder.path / "retrain" / "top1-seeds2"))) == 2


@covers("cli/sweep_output.py", "resume_command(self.folder, self._space, outcome.state)")
@pytest.mark.parametrize("budget", [("--target", "1000"), ("--gpu-hours", "0.5")])
@pytest.mark.slow
def test_a_sweep_that_a_budget_stopped_goes_on(cli, training, folder, budget):
    training.gpus = 1
    said = cli.sweep("resume", folder.path, *budget, "--hours", "5")
    assert "The sweep is stopped: the " in said.out
    while len(ended(folder)) < 4:
        before = len(ended(folder))
        said = cli.paste(said.out, which=-1)  # before it stands how to know which is the best
        assert len(ended(folder)) > before
    assert "to go on" not in cli.sweep("status", folder.path).out


@covers("cli/commands/running/rerun.py", "this_command()")
@pytest.mark.slow
def test_a_full_disk(cli, training, folder, monkeypatch, tmp_path):
    """While trials train, before the sweep keeps what it was asked, and while trials are scored."""
    training.raises = OSError(28, "No space left on device")
    said = cli.sweep("resume", folder.path)
    assert (said.code, "fix the cause, then continue:\n" in said.err) == (2, True)
    cli.paste(said.err)
    assert len(ended(folder)) == 4

    def full(*given):
        monkeypatch.undo_full()
        raise OSError(28, "No space left on device")

    from iafsweep.api import results

    publish = results.publish
    monkeypatch.undo_full = lambda: setattr(results, "publish", publish)
    monkeypatch.setattr(results, "publish", full)
    said = cli.sweep("rerun", folder.path, "--trial", "t0002", *SCORED)
    assert said.code == 2
    cli.paste(said.err)
    assert RunFolder(folder.trial("t0002")).read_evaluation().estimates


@covers("sweep/storage/ledger.py", "sweep_command('resume', path.parent)")
@covers("sweep/storage/stored_sweep.py", "continue that sweep as it is: ")
@covers("sweep/tune/driver.py", "then continue: ")
@pytest.mark.slow
def test_a_ledger_that_is_there_or_cannot_be_written_and_a_sweep_that_stalls(cli, training, folder, monkeypatch):
    saved = folder.ledger.read_bytes()
    header = read_sweep(folder).state.header
    space = read_sweep(folder).space

    def unwritable():
        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        try:
            return cli.sweep("resume", folder.path).err
        finally:
            monkeypatch.setattr(os, "fsync", fsync)

    def stalled():
        stands_in = Session.run
        monkeypatch.setattr(Session, "run", lambda session, nodes: session._train(session._plan(list(nodes))))
        monkeypatch.setattr(Session, "_tune", lambda *given: None)
        said = cli.sweep("resume", folder.path).err
        monkeypatch.setattr(Session, "run", stands_in)
        return said

    def raised(call):
        with pytest.raises(SweepError) as error:
            call()
        return str(error.value)

    other = replace(space, sweep=space.sweep.model_copy(update={"sampler": "grid"}))
    for message in (
        unwritable,
        stalled,
        lambda: raised(lambda: Ledger.create(folder.ledger, header)),
        lambda: raised(lambda: open_ledger(other, folder)),
    ):
        folder.ledger.write_bytes(saved)
        folder.space.write_text(dump_space(space))
        cli.paste(message())
        assert len(ended(folder)) == 4


@covers("cli/sweep_output.py", "try: {sweep_command('report'")
@covers("api/results.py", "name another place with --to", "use --csv to name a file that can be written")
@covers("cli/commands/reading/report.py", "leave one of them out", "needs --serve")
@pytest.mark.slow
def test_files_that_cannot_be_written(cli, training, folder, tmp_path):
    folder.report.mkdir()
    said = cli.sweep("resume", folder.path)
    assert "No report was written (" in said.out
    assert "name another place with --to" in cli.sweep("report", folder.path).err
    assert cli.sweep("report", folder.path, "--to", tmp_path / "page.html").code == 0
    assert "leave one of them out" in cli.sweep("report", folder.path, "--to", "page.html", "--serve").err
    assert "--open needs --serve" in cli.sweep("report", folder.path, "--open").err
    folder.report.rmdir()
    cli.paste(said.out)
    assert folder.report.is_file()
    folder.leaderboard_csv.unlink()
    folder.leaderboard_csv.mkdir()
    assert "use --csv to name a file that can be written" in cli.sweep("export", folder.path).err
    assert cli.sweep("export", folder.path, "--csv", tmp_path / "board.csv").code == 0


@covers("cli/commands/reading/report.py", "report_command(")
@covers("api/news.py", "report_command(folder)")
@covers("report/words.py", "Use resume to continue", "use resume to continue", "rerun scores them", "resume_options(")
@pytest.mark.slow
def test_commands_of_the_report(cli, training, folder, tmp_path, monkeypatch):
    """They stand in it without a path of this machine, and work from where it says: where the folder is so named."""
    monkeypatch.chdir(folder.path.parent)
    here = SweepFolder(folder.path.parent / "one")
    folder.path.rename(here.path)

    def commands():
        cli.sweep("report", here.path)
        page = here.report.read_text()
        data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
        return dict(data["commands"]), data

    found, page = commands()
    left = {"Continue the sweep", "Measure hais_gap"}
    again = "Find out which trial is truly the best: train the top trials again with other seeds"
    assert set(found) == {"Write this report again", again, *left}
    assert page["folder"] == "one"
    assert str(tmp_path) not in json.dumps(page)
    assert cli.paste(page["train_again"].replace("TRIAL", "t0001")).code == 0
    assert cli.paste(found["Write this report again"]).code == 0
    for title in sorted(left):
        cli.paste(found[title])
    assert not left & set(commands()[0])
    cli.paste(found[again])
    assert again not in commands()[0]
    RunFolder(here.trial("t0002")).evaluation.unlink()
    found, page = commands()
    assert "Best trials not scored yet: t0002; rerun scores them." in page["standing"]["text"]
    cli.paste(found["Score the best trials that are not scored yet"])
    assert "Best trials not scored yet" not in commands()[1]["standing"]["text"]


@covers("search_space/files.py", "train it: ")
@covers("config/files.py", "launch it: ")
@pytest.mark.slow
def test_a_file_of_the_other_kind(cli, training, folder, tmp_path):
    space, config = tmp_path / "a space.toml", tmp_path / "a run.toml"
    shutil.copy(folder.space, space)
    shutil.copy(RunFolder(folder.trial("t0001")).config, config)
    said = cli.sweep("launch", config, "--epochs", 1, "--set", "training.batch_size=1000", "--data-root", "some data")
    assert said.code == 2
    cli.paste(said.err)
    run = RunFolder(tmp_path / "runs" / "a run")
    assert (run.read_config().training.epochs, run.read_config().training.batch_size) == (1, 1000)
    said = cli.run(space, "--set", "training.batch_size=20", "--data-root", "some data")
    assert said.code == 2
    assert len(commands_in(said.err)) == 2
    assert "--data-root" in shown_words(said.err, "launch")
    cli.paste(said.err, 1)
    cli.paste(said.err, 0)
    assert read_sweep(SweepFolder(tmp_path / "runs" / "a space-1")).space.base.training.batch_size == 20


def shown_words(text, command):
    return next(words for _, words in commands_in(text) if words[0] == command)


@covers("cli/commands/reading/compare.py", "to score it: {sweep_command('rerun'")
@pytest.mark.slow
def test_compare_of_sweeps(cli, training, folder):
    """Those without figures are scored; the best of all that has none; figures made with other settings, in each."""
    other = SweepFolder(shutil.copytree(folder.path, folder.path.with_name("it's 2")))
    both = (folder.path, other.path)
    said = cli.sweep("compare", *both)
    assert (said.code, said.err.count("score more: ")) == (2, 2)
    for which in (0, 1):
        cli.paste(said.err, which)
    assert cli.sweep("compare", *both).code == 0
    cli.sweep("rerun", folder.path, "--trial", "t0002")
    RunFolder(folder.trial("t0001")).per_image.unlink()
    said = cli.sweep("compare", *both)
    assert (
        "it's 1/t0001 has no per-image figures; differences are from it's 2/t0001, the best that has them" in said.out
    )
    cli.paste(said.out)
    assert "nats more than it's 1/t0001" in cli.sweep("compare", *both).out
    for run in (RunFolder(other.trial("t0001")), RunFolder(folder.trial("t0002"))):
        table = pd.read_parquet(run.per_image)
        table.assign(settings=table["settings"].replace("4 samples", "3 samples")).to_parquet(run.per_image)
    said = cli.sweep("compare", *both)
    assert said.out.count("To compare them, score them with the same settings: ") == 2
    for which in (0, 1):
        cli.paste(said.out, which)
    assert "not compared" not in cli.sweep("compare", *both).out
