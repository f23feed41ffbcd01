"""Recipes: what each part computes, and that a run with all of them goes on exactly."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from iafsweep.config import ImageFormat, RunConfig, TrainingConfig
from iafsweep.config.files import build_config, with_values
from iafsweep.errors import ConfigError, RunFolderError
from iafsweep.models import build_model
from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder, Trainer, load_trained_model
from iafsweep.training.averaging import WeightAverage
from iafsweep.training.batches import EpochBatches
from iafsweep.training.checkpoint import load_last
from iafsweep.training.objective import bound_terms
from iafsweep.training.optimiser import clip_gradients, gradient_norm, make_optimiser, restore_moments
from iafsweep.training.schedules import has_stopped_early, learning_rate
from tests.training.test_trainer import changed, metrics, train
from tests.training.test_within_an_epoch import check_equal, ended_at, gone_on, is_equal

RICH = {
    "optimiser": "adamax",
    "weight_decay": 0.1,
    "gradient_clip": 50.0,
    "learning_rate_schedule": "cosine",
    "learning_rate_end": 0.1,
    "learning_rate_warmup_epochs": 1,
    "weight_average": 0.9,
    "weight_average_images": 100,
    "objective": "iwae",
    "objective_samples": 3,
    "objective_from_epoch": 2,
}


def rich(config, **recipe):
    """All parts of a recipe at once, with dropout."""
    dropped = {side: getattr(config.model, side).model_dump() | {"dropout": 0.2} for side in ("encoder", "decoder")}
    return changed(config, training=RICH | recipe, model=dropped)


def one_layer():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax"])
def test_optimisers_do_as_pytorchs_own(name):
    """Decay is decoupled (of the weights before the step) and spares the bias."""
    decay = 0.0 if name == "adam" else 0.1
    config = TrainingConfig(optimiser=name, weight_decay=decay, learning_rate=0.02)
    ours, theirs = one_layer(), one_layer()
    usual = {"adam": torch.optim.Adam, "adamw": torch.optim.Adam, "adamax": torch.optim.Adamax}[name]
    mine, other = make_optimiser(ours, config), usual(theirs.parameters(), lr=0.02)
    for seed in range(5):
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(seed))
        for layer, optimiser in ((ours, mine), (theirs, other)):
            optimiser.zero_grad()
            layer(x).square().sum().backward()
            if layer is theirs:
                with torch.no_grad():
                    theirs.weight *= 1 - 0.02 * decay
            optimiser.step()
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, atol=1e-6)


UNCOMPILED = """
import sys
from pathlib import Path
import torch
from iafsweep.config import RunConfig
from iafsweep.data import TrainingImages
from iafsweep.training import RunFolder, Trainer
from tests.training.conftest import TINY
from tests.training.test_recipes import rich
from tests.training.test_trainer import changed, train
images = TrainingImages(torch.zeros(60, 1, 28, 28, dtype=torch.uint8), torch.zeros(20, 1, 28, 28, dtype=torch.uint8))
config = RunConfig.model_validate(TINY)
for name in ("adam", "adamw", "adamax"):
    folder = Path(sys.argv[1], name)
    recipe = changed(config, training={"optimiser": "adam"}) if name == "adam" else rich(config, optimiser=name)
    train(recipe, images, folder, 1).finish("interrupted")
    Trainer.resume(recipe, images, RunFolder(folder), torch.device("cpu")).run_epoch()
sys.exit("torch._dynamo" in sys.modules)
"""


def test_training_that_is_not_compiled_does_not_import_the_compiler(tmp_path):
    """It would cost each trial's process a second and 150 MB."""
    assert subprocess.run([sys.executable, "-c", UNCOMPILED, tmp_path], check=False).returncode == 0


@pytest.mark.parametrize("name", ["adamw", "adamax"])
def test_moments_are_restored_without_the_settings_of_then(name):
    recipe = TrainingConfig(optimiser=name, weight_decay=0.1)
    layer = one_layer()
    optimiser = make_optimiser(layer, recipe)
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    other = make_optimiser(layer, recipe.model_copy(update={"weight_decay": 0.7}))
    restore_moments(other, optimiser.state_dict())
    key = "weight_decay" if name == "adamw" else "decay"
    assert [group[key] for group in other.param_groups] == [0.7, 0.0]
    assert is_equal(other.state_dict()["state"], optimiser.state_dict()["state"])


def test_gradients_are_clipped_to_their_norm_together():
    layer = one_layer()
    (3 * layer(torch.ones(2, 3)).sum()).backward()
    whole = torch.cat([each.grad.flatten() for each in layer.parameters()])
    assert gradient_norm(layer) == pytest.approx(whole.norm().item())
    assert clip_gradients(layer, 2.0) == pytest.approx(whole.norm().item())
    assert gradient_norm(layer) == pytest.approx(2.0, rel=1e-5)
    assert torch.allclose(layer.weight.grad.flatten() / whole[:6], torch.tensor(2.0) / whole.norm())
    assert clip_gradients(layer, 5.0) == pytest.approx(2.0, rel=1e-5)  # short enough: left alone
    assert gradient_norm(layer) == pytest.approx(2.0, rel=1e-5)


def test_metrics_tell_norms_clipped_steps_and_active_units(config, images, tmp_path, cpu):
    for name, clip in (("never", None), ("always", 1e-3), ("far", 1e9)):
        train(changed(config, training={"gradient_clip": clip}), images, tmp_path / name, 1).finish()
    never, always, far = (read(RunFolder(tmp_path / name).metrics)[0] for name in ("never", "always", "far"))
    assert (never.clipped_share, always.clipped_share, far.clipped_share) == (None, 1.0, 0.0)
    assert always.gradient_norm > 1e-3
    assert never.validation_negative_elbo == pytest.approx(never.validation_reconstruction + never.validation_kl)
    assert (never.train_loss, never.validation_negative_elbo) == (far.train_loss, far.validation_negative_elbo)
    # The first of seven batches alone, where nothing is clipped.
    fresh = Trainer.start(config, images, RunFolder(tmp_path / "one"), cpu)
    batch = next(EpochBatches(images.training, 50, 4, 0, 0))
    fresh.model.train()
    bound_terms(fresh.model, batch.x, batch.noise).reconstruction.mean().backward()
    assert never.gradient_norm == pytest.approx(gradient_norm(fresh.model).item(), rel=1e-4)
    fresh.close()
    trained = load_trained_model(RunFolder(tmp_path / "never"), "last", cpu).model
    bits = fresh._validation.images
    with torch.no_grad():
        parameters = trained.posterior(bits)
        landed = trained.transform_noise(torch.zeros(len(bits), 4), parameters)[0]
    assert never.active_units == int((landed.var(0) > 0.01).sum())


def test_learning_rates_rise_and_fall_step_by_step():
    recipe = TrainingConfig(epochs=10, learning_rate=1.0, learning_rate_schedule="cosine", learning_rate_end=0.2)
    rates = [learning_rate(recipe, epoch, batch, 4) for epoch in range(10) for batch in range(4)]
    assert rates[0] == 1.0
    assert rates[20] == pytest.approx(0.6)
    assert all(before > after > 0.2 for before, after in zip(rates, rates[1:], strict=False))
    assert learning_rate(recipe, 10, 0, 4) == pytest.approx(0.2)
    warm = recipe.model_copy(update={"learning_rate_schedule": "constant", "learning_rate_warmup_epochs": 2})
    assert [learning_rate(warm, epoch, batch, 2) for epoch in range(3) for batch in range(2)] == [
        0.25, 0.5, 0.75, 1.0, 1.0, 1.0,
    ]  # fmt: skip


def test_adamw_without_decay_is_adam_bit_for_bit(config, images, tmp_path):
    for name in ("adam", "adamw"):
        train(changed(config, training={"optimiser": name}), images, tmp_path / name, 2).finish()
    assert metrics(RunFolder(tmp_path / "adam")) == metrics(RunFolder(tmp_path / "adamw"))


def test_the_average_is_that_of_the_weights_after_every_step(config, images):
    model = build_model(config.model, ImageFormat((1, 28, 28)), seed=0)
    average = WeightAverage(model, TrainingConfig(weight_average=0.5))
    expected = [each.detach().clone() for each in model.parameters()]
    for steps in range(1, 6):
        with torch.no_grad():
            for each in model.parameters():
                each += 1.0
        average.update(steps)
        decay = min(0.5, (1 + steps) / (10 + steps))
        expected = [
            decay * old + (1 - decay) * new.detach() for old, new in zip(expected, model.parameters(), strict=True)
        ]
    assert all(torch.allclose(a, e) for a, e in zip(average.model.parameters(), expected, strict=True))


def test_its_statistics_are_those_of_training_images(config, images):
    """The first batch norm of the encoder sees the images alone, so that its statistics can be had apart."""
    model = build_model(config.model, ImageFormat((1, 28, 28)), seed=0)
    recipe = TrainingConfig(weight_average=0.5, weight_average_images=200, batch_size=50)
    average = WeightAverage(model, recipe)
    average.settle(images.training)
    first = average.model.encoder.hidden.layers[0]
    batches = list(EpochBatches(images.training[:200], 50, 4, 0, -1))
    with torch.no_grad():
        seen = [first.linear(torch.cat([batch.x.flatten(1)] * 2, 1)) for batch in batches]
    assert torch.allclose(first.norm.running_mean, torch.stack([each.mean(0) for each in seen]).mean(0), atol=1e-5)
    assert torch.allclose(first.norm.running_var, torch.stack([each.var(0) for each in seen]).mean(0), atol=1e-5)
    assert not any(module.training for module in average.model.modules())
    assert first.norm.momentum == model.encoder.hidden.layers[0].norm.momentum
    before = {name: value.clone() for name, value in average.model.state_dict().items()}
    average.settle(images.training)
    assert is_equal(dict(average.model.state_dict()), before)


def test_what_is_averaged_is_what_is_scored(config, images, tmp_path, cpu):
    recipe = changed(config, training={"weight_average": 0.9, "weight_average_images": 100})
    trainer = train(recipe, images, tmp_path / "run")
    trainer.finish()
    folder = RunFolder(tmp_path / "run")
    last = load_last(folder, cpu)
    assert not torch.equal(*(next(iter(state.values())) for state in (last.model, last.average)))
    loaded = load_trained_model(folder, "last", cpu).model
    assert is_equal(dict(loaded.state_dict()), last.average)
    assert trainer._validation.bound(loaded).negative_elbo == read(folder.metrics)[-1].validation_negative_elbo
    best = load_trained_model(folder, "best", cpu)
    bounds = [row.validation_negative_elbo for row in read(folder.metrics)]
    assert trainer._validation.bound(best.model).negative_elbo == bounds[best.epoch - 1] == min(bounds)
    # The weights that are trained are those of a run without an average.
    train(config, images, tmp_path / "plain").finish()
    assert is_equal(last.model, load_last(RunFolder(tmp_path / "plain"), cpu).model)
    assert "moving averages" not in folder.log.read_text()  # which do not count


@pytest.mark.parametrize(("epoch", "batch", "every"), [(1, 3, 1), (3, 2, 3), (4, 6, 1)])
def test_a_run_with_everything_goes_on_exactly(config, images, tmp_path, cpu, epoch, batch, every):
    recipe = rich(config, checkpoint_every_epochs=every)
    train(recipe, images, tmp_path / "whole").finish()
    folder = ended_at(recipe, images, tmp_path / "run", epoch, batch)
    gone_on(recipe, images, folder, cpu)
    check_equal(folder, RunFolder(tmp_path / "whole"))


def test_dropout_is_a_function_of_the_seed_and_leaves_the_global_generator_alone(config, images, tmp_path):
    recipe = rich(config, optimiser="adam", weight_decay=0.0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train(recipe, images, tmp_path / "a", 1).finish()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    train(recipe, images, tmp_path / "b", 1).finish()
    assert metrics(RunFolder(tmp_path / "a")) == metrics(RunFolder(tmp_path / "b"))


@pytest.mark.parametrize("kind", ["mlp", "resnet", "gated_conv"])
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_dropout_drops_its_share_in_training_alone(config, kind, side):
    values = config.model.model_dump()
    for each in ("encoder", "decoder"):
        values[each] |= {"kind": kind, "resnet": {"maps": 2}, "gated_conv": {"maps": 2}}
    plain = build_model(type(config.model).model_validate(values), ImageFormat((1, 8, 8)), seed=0)
    values[side]["dropout"] = 0.5
    dropped = build_model(type(config.model).model_validate(values), ImageFormat((1, 8, 8)), seed=0)
    assert {name for name, part in dropped.named_children() if any(
        isinstance(module, nn.Dropout) and module.p for module in part.modules()
    )} == {side}  # fmt: skip
    shares = []
    for module in getattr(dropped, side).modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda _, given, got: shares.append((got == 0)[given[0] != 0].float().mean()))
    x = torch.randint(0, 2, (200, 1, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    noise = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        bound_terms(dropped.train(), x, noise)
        assert all(abs(share - 0.5) < 0.1 for share in shares)
        assert len(shares) >= 1
    dropped.load_state_dict(plain.state_dict())
    with torch.no_grad():
        one, other = (bound_terms(model.eval(), x, noise).negative_elbo for model in (plain, dropped))
    assert torch.equal(one, other)


def test_early_stopping_waits_for_what_is_still_to_change():
    recipe = TrainingConfig(epochs=100, early_stopping_epochs=3, kl_warmup_epochs=5)
    assert [has_stopped_early(recipe, epoch, best_epoch=2) for epoch in (5, 7, 8)] == [False, False, True]
    assert not has_stopped_early(recipe, 20, best_epoch=18)
    tuned = recipe.model_copy(update={"objective": "iwae", "objective_samples": 2, "objective_from_epoch": 90})
    assert [has_stopped_early(tuned, epoch, best_epoch=2) for epoch in (92, 93)] == [False, True]
    never = tuned.model_copy(update={"objective_from_epoch": 100})
    assert has_stopped_early(never, 8, best_epoch=2)


def test_a_run_that_stops_early_has_completed_and_says_so(config, images, tmp_path, cpu):
    recipe = changed(
        config, training={"epochs": 50, "early_stopping_epochs": 2, "learning_rate": 0.3, "kl_warmup_epochs": 0}
    )
    folder = RunFolder(tmp_path / "run")
    trainer = Trainer.start(recipe, images, folder, cpu)
    while not trainer.is_done:
        trainer.run_epoch()
    trainer.finish()
    state = folder.read_state()
    assert state.status == "completed"
    assert state.epochs == state.best.epoch + 2 < 50
    assert f"stopped early after epoch {state.epochs}" in trainer.end_note
    assert trainer.end_note in folder.log.read_text()
    again = Trainer.resume(recipe, images, folder, cpu)
    assert again.is_done
    again.close()
    patient = changed(recipe, training={"early_stopping_epochs": 49})
    again = Trainer.resume(patient, images, folder, cpu)
    assert not again.is_done
    assert again.end_note == ""
    again.close()


def test_a_cosine_is_of_one_length(config, images, tmp_path, cpu):
    recipe = changed(config, training={"learning_rate_schedule": "cosine"})
    train(recipe, images, tmp_path / "run").finish()
    with pytest.raises(RunFolderError, match=r"'cosine' over 4 epochs.*training\.epochs = 6 cannot continue"):
        Trainer.resume(changed(recipe, training={"epochs": 6}), images, RunFolder(tmp_path / "run"), cpu)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"training.weight_decay": 0.1}, "weight_decay = 0.1 is decoupled.*take optimiser = 'adamw'"),
        ({"training.objective": "iwae"}, "with one sample is the ELBO; set objective_samples to at least 2"),
        ({"training.objective": "dreg", "model.flow.depth": 0}, "or take objective = 'stl'"),
        ({"training.objective": "stl"}, "costs latent_size passes per step with this flow; take model.flow.depth = 0"),
        (
            {"training.objective": "iwae", "training.objective_samples": 2, "training.free_bits": 1.0},
            "free_bits = 1.0 is a floor under the KL term, but objective = 'iwae' has no separate KL term",
        ),
        (
            {"training.early_stopping_epochs": 3, "data.validation_images": 0, "evaluation.checkpoint": "last"},
            "early_stopping_epochs looks at the validation bound",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        build_config(with_values({}, values), "test")


def test_the_memory_of_training_counts_samples_and_the_average():
    from iafsweep.training.device import training_memory

    small = {"model": {"flow": {"depth": 0}, "encoder": {"kind": "mlp"}, "decoder": {"kind": "mlp"}}}
    plain = training_memory(RunConfig.model_validate(small))
    more = training_memory(RunConfig.model_validate(small | {"training": {"objective_samples": 5}}))
    average = training_memory(RunConfig.model_validate(small | {"training": {"weight_average": 0.9}}))
    assert 2 * plain.activations < more.activations < 5 * plain.activations
    assert average.total - plain.total == 4 * sum(plain.parameters.values())
    assert math.isfinite(plain.total)
