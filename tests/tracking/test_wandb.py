"""wandb: what is called, with a module that notes it; and wandb itself, offline, where it is installed."""

import importlib.util
import sys
import types

import pytest

from iafsweep.run_files import metrics_file
from iafsweep.training.tracking import RunToTrack
from tests.finished import BASE, finish_run
from tests.tracking.sending import send


class FakeRun:
    def __init__(self, step, log):
        self.step = step
        self.log_calls = log
        self.summary = {}
        self.ended = None

    def log(self, values, step):
        self.log_calls.append((step, values))

    def finish(self, exit_code):
        self.ended = exit_code


@pytest.fixture
def fake(monkeypatch):
    """A module with what is used of wandb's interface."""
    module = types.ModuleType("wandb")
    module.__spec__ = importlib.util.spec_from_loader("wandb", None)
    module.step, module.inits, module.calls, module.run = 0, [], [], None

    def init(**options):
        module.inits.append(options)
        module.run = FakeRun(module.step, module.calls)
        return module.run

    module.init = init
    module.Settings = lambda **options: options
    module.Image = lambda path: f"image {path.rsplit('/', 1)[-1]}"
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_a_run_is_sent_whole_and_nothing_of_the_machine(fake, scored_run):
    send("wandb", scored_run, "completed")
    (options,) = fake.inits
    assert (options["id"], options["name"], options["group"]) == ("abc-t0001", "quick t0001", "quick")
    assert options["config"]["model"]["latent_size"] == 4
    assert options["resume"] == "allow"
    assert all(options["settings"][name] for name in ("disable_git", "disable_code", "x_disable_meta"))
    rows = metrics_file.read(scored_run.folder.metrics)
    assert [(step, values["train_loss"]) for step, values in fake.calls[:2]] == [
        (row.epoch, row.train_loss) for row in rows
    ]
    assert fake.calls[2:] == [
        (2, {"samples": "image samples.png"}),
        (2, {"reconstructions": "image reconstructions.png"}),
    ]
    assert fake.run.summary["test/importance_sampling/nll"] == 98.25
    assert fake.run.ended == 0


def test_a_run_that_goes_on_sends_the_rest(fake, tmp_path):
    fake.step = 2  # the next step after epoch 1
    send("wandb", RunToTrack("abc-t0001", "run", "", BASE, finish_run(tmp_path / "run")), "diverged")
    assert [step for step, values in fake.calls if "train_loss" in values] == [2]
    assert fake.run.ended == 1


@pytest.mark.filterwarnings("ignore")
def test_the_real_wandb_offline(scored_run, monkeypatch):
    if importlib.util.find_spec("wandb") is None:
        pytest.skip("wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    send("wandb", scored_run, "completed")
    (written,) = (scored_run.folder.path / "wandb").rglob("*.wandb")
    content = written.read_bytes()
    for word in (b"train_loss", b"latent_size", b"test/importance_sampling/nll"):
        assert word in content
