"""Training and scoring from Python: the figures of the command line, in its files, and nothing left behind."""

import asyncio
import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch

import iafsweep
from iafsweep.api.news import RunNews, StepNews
from iafsweep.cli import single
from iafsweep.config import dump_config
from iafsweep.errors import RunFolderError
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.signals import Terminated
from tests.advice.conftest import TINY

CONFIG = TINY.with_values({"data.validation_images": 2000, "training.batch_size": 500})
ONE, TWO = (CONFIG.with_values({"training.epochs": count}) for count in (1, 2))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CPU = {"device": "cpu", "threads": 1, "progress": "off"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return iafsweep.train(TWO, tmp_path_factory.mktemp("runs") / "run", **CPU)


def command(monkeypatch, *words):
    """run_single.py, in this process, its handlers put back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    monkeypatch.setattr("sys.argv", ["run_single.py", *map(str, words), "--device", "cpu", "--threads", "1"])
    try:
        with pytest.raises(SystemExit) as end:
            single.main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert not end.value.code


def figures(folder):
    """What a run came to, without its times."""
    run = RunFolder(folder)
    rows = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    rows = [{key: value for key, value in row.items() if "second" not in key and "time" not in key} for row in rows]
    estimates = [each.model_copy(update={"seconds": 0.0}) for each in run.read_evaluation().estimates]
    images = pd.read_parquet(run.per_image)
    return rows, estimates, images.to_csv(), run.best.exists() and run.read_state().best


def test_both_ways_give_the_same_figures_in_the_same_files(trained, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(dump_config(TWO))
    command(monkeypatch, tmp_path / "mine.toml", "--run", tmp_path / "run")
    assert figures(trained.path) == figures(tmp_path / "run")
    files = [{path.name for path in folder.iterdir()} for folder in (trained.path, tmp_path / "run")]
    assert files[0] == files[1]
    assert RunFolder(trained.path).config.read_text() == RunFolder(tmp_path / "run").config.read_text()
    assert trained.evaluation == RunFolder(trained.path).read_evaluation()


@pytest.mark.parametrize("first", ["Python", "command"])
def test_either_goes_on_with_what_the_other_began(trained, tmp_path, monkeypatch, first):
    run = tmp_path / "run"
    if first == "Python":
        iafsweep.train(ONE, run, **CPU)
        command(monkeypatch, "--run", run, "--resume", "--set", "training.epochs=2")
    else:
        (tmp_path / "one.toml").write_text(dump_config(ONE))
        command(monkeypatch, tmp_path / "one.toml", "--run", run)
        with pytest.raises(RunFolderError, match="resume"):
            iafsweep.train(TWO, run, **CPU)
        iafsweep.train(TWO, run, resume=True, **CPU)
    ours, theirs = figures(run), figures(trained.path)
    assert ours[0] == theirs[0]
    assert [each.nll for each in ours[1]] == [each.nll for each in theirs[1]]


def test_scoring_again_is_that_of_the_command_and_is_kept(trained, tmp_path, monkeypatch):
    import shutil

    for name in ("ours", "theirs"):
        shutil.copytree(trained.path, tmp_path / name)
    run = iafsweep.load_run(tmp_path / "ours", "cpu")
    found = run.evaluate(importance_sampling=6, hais="prior:2x1x3", images=7, threads=1, progress="off")
    sets = ["importance_sampling.samples=6", "importance_sampling.images=7", "hais.enabled=true", "hais.start=prior",
            "hais.temperatures=2", "hais.leapfrog_steps=1", "hais.chains=3", "hais.images=7"]  # fmt: skip
    words = [word for each in sets for word in ("--set", f"evaluation.{each}")]
    command(monkeypatch, "--run", tmp_path / "theirs", "--evaluate-only", *words)
    assert figures(tmp_path / "ours") == figures(tmp_path / "theirs")
    assert run.evaluation == found == iafsweep.load_run(tmp_path / "ours", "cpu").evaluation
    assert {"4 samples", "6 samples", "prior 2x1x3"} <= {each.settings for each in found.estimates}
    for wrong, message in (
        ({"hais": "nowhere"}, "hais 'nowhere' is not understood"),
        ({"settings": {"training.epochs": 3}}, r"training.epochs cannot change when a trained model is scored"),
        ({"settings": {"evaluation.until_error.budget_seconds": 3.0}}, "a budget limits until_error"),
        ({"images": 10**6}, "more than the 1,000 test images"),
        ({"progress": "on"}, "progress must be 'auto' or 'off', got 'on'"),
    ):
        with pytest.raises(iafsweep.UserError, match=message):
            run.evaluate(**wrong)
    model = iafsweep.load_run(run.export(tmp_path / "model"), "cpu")
    with pytest.raises(RunFolderError, match="is an exported model, which keeps the figures of its run"):
        model.evaluate()


def test_hais_of_images_at_hand_with_its_diagnostics(trained):
    x = trained.images("test", 103)  # two parts
    found = trained.score(x, method="hais", hais="posterior:4x2x5")
    assert found.settings == "posterior 4x2x5"
    for name in ("log_likelihood", "standard_error", "effective_sample_size", "log_weight_variance"):
        assert getattr(found, name).shape == (103,)
        assert getattr(found, name).dtype == torch.float64
    assert (found.effective_sample_size <= 5.0001).all()
    assert 0 < found.acceptance_rate <= 1
    assert found.step_size > 0
    again = trained.log_likelihood(x, method="hais", hais="posterior:4x2x5")
    assert torch.equal(again, found.log_likelihood)
    other = trained.log_likelihood(x, method="hais", hais="posterior:4x2x5", seed=1)
    assert not torch.equal(again, other)
    assert again.mean() == pytest.approx(other.mean(), abs=1)
    longer = trained.log_likelihood(x[:10], method="hais", hais="posterior:40x3x5")
    assert again[:10].mean() < longer.mean() < 0  # bounds from below, and the longer the closer
    assert longer.mean() > trained.log_likelihood(x[:10], samples=5).mean()
    assert trained.score(x[:0], method="hais").log_likelihood.shape == (0,)
    assert "no images" in repr(trained.score(x[:0]))
    assert "103 images, posterior 4x2x5: mean -" in repr(found)
    with pytest.raises(iafsweep.UserError, match="method must be one of importance_sampling, hais, got 'ais'"):
        trained.score(x, method="ais")


def test_it_is_shown_in_a_few_lines(trained):
    assert len(repr(trained).splitlines()) <= 8
    assert "test NLL, IS, 4 samples (10 images)" in repr(trained)
    assert trained._repr_html_().count("<tr>") == len(repr(trained).splitlines())


def test_nothing_is_printed_and_nothing_is_left_changed(tmp_path, capfd):
    def state():
        return [signal.getsignal(number) for number in SIGNALS], torch.get_num_threads(), threading.excepthook

    before = state()
    iafsweep.train(ONE, tmp_path / "run", **CPU).evaluate(images=5, progress="off")
    assert capfd.readouterr() == ("", "")
    assert state() == before
    iafsweep.train(ONE, tmp_path / "other", device="cpu")  # auto: there is no terminal here
    assert capfd.readouterr() == ("", "")


def test_a_thread_and_a_running_event_loop_will_do(trained, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(iafsweep.train, TWO, tmp_path / "thread", **CPU).result()

    async def cell():
        return iafsweep.train(TWO, tmp_path / "loop", **CPU)

    asyncio.run(cell())
    assert figures(tmp_path / "thread") == figures(tmp_path / "loop") == figures(trained.path)


class Interrupting(RunNews):
    """Sends a signal behind the third batch."""

    def __init__(self, number):
        self.number, self.batches = number, 0

    def training(self, trainer, images, batches):
        outer = self

        class Steps(StepNews):
            def __enter__(self):
                return self

            def __exit__(self, *error):
                return None

            def batch_done(self, images):
                outer.batches += 1
                if outer.batches == 3:
                    signal.raise_signal(outer.number)

        return Steps()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on_with_the_same_bits(trained, tmp_path, number):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *arguments: heard.append(arguments[0]))
    try:
        handlers = [signal.getsignal(each) for each in SIGNALS]
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Terminated, match="resume=True"):
            iafsweep.train(TWO, tmp_path / "run", **CPU | {"progress": Interrupting(number)})
        assert [signal.getsignal(each) for each in SIGNALS] == handlers
        assert heard == ([] if number == signal.SIGINT else [number])  # handed on, when all was saved
        assert (tmp_path / "run" / "step.pt").exists()
    finally:
        signal.signal(signal.SIGTERM, before)
    iafsweep.train(TWO, tmp_path / "run", resume=True, **CPU)
    assert figures(tmp_path / "run")[0] == figures(trained.path)[0]


def test_what_cannot_be_used_is_refused_in_words(trained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(iafsweep.UserError, match="a run needs a folder"):
        iafsweep.train(ONE, tmp_path / "file", **CPU)
    with pytest.raises(iafsweep.UserError, match="progress must be"):
        iafsweep.train(ONE, tmp_path / "run", progress="yes")
    with pytest.raises(iafsweep.UserError, match="is not a run folder"):
        iafsweep.train(ONE, tmp_path / "none", resume=True, **CPU)
    assert not (tmp_path / "run").exists()
