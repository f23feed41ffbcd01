"""Figures that the moving averages of batch norm make nonsense of, and what is said of them, and where."""

import re

import pytest
import torch

from iafsweep.config import ImageFormat, RunConfig
from iafsweep.leaderboard import leaderboard_table
from iafsweep.models import build_model
from iafsweep.records import LeaderboardRow
from iafsweep.records.trust import are_apart, is_unsettled, settling_of, unsettled_remark
from iafsweep.training import RunFolder, Trainer
from tests.training.conftest import TINY

CPU = torch.device("cpu")


def changed(model=None, training=None):
    values = {**TINY, "model": TINY["model"] | (model or {}), "training": TINY["training"] | (training or {})}
    return RunConfig.model_validate(values)


def trained(config, images, path):
    trainer = Trainer.start(config, images, RunFolder(path), CPU)
    for _ in range(config.training.epochs):
        trainer.run_epoch()
    trainer.finish()
    return trainer, (path / "run.log").read_text()


def test_a_momentum_that_cannot_settle_is_named_before_training_and_its_bound_after(images, tmp_path):
    training = {"epochs": 20, "learning_rate": 0.05}
    trainer, log = trained(changed({"batch_norm_momentum": 0.001}, training), images, tmp_path / "run")
    first = log.partition("epoch 1:")[0]
    assert "cannot settle (momentum 0.001 x steps = 0.14, below 5)" in first
    assert "set model.batch_norm_momentum to at least 0.036, or train longer" in first
    assert re.search("the validation bound, .* is far above the training bound, .*batch_norm_momentum", log)
    assert trainer.bounds_note in log.partition("epoch 20:")[2]


def test_the_remedy_mends_it(images, tmp_path):
    trainer, log = trained(changed({"batch_norm_momentum": 0.2}), images, tmp_path / "run")
    assert "batch_norm_momentum" not in log
    assert (trainer.note, trainer.bounds_note) == ("", "")


@pytest.mark.parametrize(
    ("prior", "epochs", "warns"), [("vamp", 1, True), ("vamp", 0, False), ("autoregressive", 1, False)]
)
def test_a_kl_warm_up_of_a_vamp_prior_is_told_before_training(images, tmp_path, prior, epochs, warns):
    model = {"normalisation": "weight_norm", "flow": {"depth": 0}, "prior": {"kind": prior, "vamp": {"components": 3}}}
    config = changed(model, {"kl_warmup_epochs": epochs, "epochs": 2})
    trainer, log = trained(config, images, tmp_path / "run")
    assert ("set training.kl_warmup_epochs = 0" in log.partition("epoch 1:")[0]) is warns
    assert bool(trainer.note) is warns


def test_a_model_without_batch_norm_has_nothing_to_settle():
    gated = {"encoder": {"kind": "gated_conv"}, "decoder": {"kind": "gated_conv"}}
    for flow in ({"depth": 0}, TINY["model"]["flow"]):
        config = changed(gated | {"flow": flow})
        norms = [
            each
            for each in build_model(config.model, ImageFormat((1, 28, 28)), 0).modules()
            if hasattr(each, "running_var")
        ]
        assert config.model.has_batch_norm is bool(norms)
    assert changed().model.has_batch_norm


def test_the_rules():
    assert settling_of(0.1, 9000, 1000, 2) == pytest.approx(1.8)
    assert settling_of(0.001, 55_000, 200, 2500) == pytest.approx(687.5)
    assert (is_unsettled(4.99), is_unsettled(5.0), is_unsettled(None)) == (True, False, False)
    assert are_apart(177.0, 287.0)
    assert not are_apart(78.8, 80.5)
    assert not any(are_apart(*pair) for pair in ((None, 1.0), (1.0, None), (float("inf"), 2.0), (float("nan"), 2.0)))
    assert unsettled_remark(0.5, 0.5).endswith("too high: train longer")


@pytest.mark.parametrize(("momentum", "steps"), [(0.1, 38), (0.001, 420), (0.3, 7), (0.05, 50), (1e-5, 333_333)])
def test_the_momentum_it_names_is_enough_and_hardly_more(momentum, steps):
    named = float(re.search(r"to at least (\S+), or", unsettled_remark(momentum * steps, momentum))[1])
    assert 5.0 / steps <= named <= 1.1 * 5.0 / steps


def test_statistics_of_too_few_images_are_not_called_overfitting_alone(images, tmp_path):
    average = {"weight_average": 0.9, "weight_average_images": 2, "epochs": 3}
    trainer, _ = trained(changed(training=average), images, tmp_path / "run")
    assert "(raise training.weight_average_images), or the model overfits" in trainer.bounds_note
    assert "batch_norm_momentum" not in trainer.bounds_note


def row(trial, settling, train, validation):
    return LeaderboardRow(
        trial=trial, status="completed", validation_negative_elbo=validation, train_negative_elbo=train,
        settling=settling,
    )  # fmt: skip


def test_the_table_names_the_trials_and_the_remedy():
    rows = [row("t0001", 0.9, 177.0, 287.0), row("t0002", 50.0, 100.0, 140.0), row("t0003", None, 100.0, 101.0)]
    notes = " ".join(leaderboard_table(rows).notes)
    assert (
        "t0001: the moving averages of batch norm have not settled (momentum x steps is below 5, at lowest 0.9)"
        in notes
    )
    assert "t0002: the validation bound is more than 1.25 times the training bound" in notes
    assert "t0003" not in notes
    many = [row(f"t{number:04d}", 0.5, None, 200.0 + number) for number in range(1, 12)]
    assert "t0008 and 3 others: the moving averages" in " ".join(leaderboard_table(many).notes)
    assert "batch norm" not in " ".join(leaderboard_table(rows[2:]).notes)
