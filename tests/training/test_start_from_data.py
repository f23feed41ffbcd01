"""A run with weight norm: it starts from its first batch, and that is part of what it goes on from."""

import pytest
import torch

from iafsweep.config import RunConfig
from iafsweep.models.weight_norm import hidden_layers
from iafsweep.run_files.metrics_file import read
from iafsweep.training import RunFolder, Trainer, load_trained_model
from iafsweep.training.batches import EpochBatches


@pytest.fixture
def normed(config):
    values = config.model_dump()
    values["model"]["normalisation"] = "weight_norm"
    values["model"]["encoder"]["dropout"] = 0.2
    values["model"]["prior"].update(kind="autoregressive", autoregressive={"width": 6})
    values["training"].update(epochs=2, weight_average=0.9, optimiser="adamw")
    return RunConfig.model_validate(values)


def losses(folder):
    return [(row.train_loss, row.validation_negative_elbo) for row in read(folder.metrics)]


def train(trainer):
    while trainer.epochs_done < trainer.config.training.epochs:
        trainer.run_epoch()
    trainer.finish()
    return trainer.folder


def test_a_new_run_has_seen_its_first_batch_and_draws_from_nothing_but_its_seed(normed, images, tmp_path, cpu):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trainer = Trainer.start(normed, images, RunFolder(tmp_path / "run"), cpu)
    assert torch.equal(torch.get_rng_state(), before)
    training = normed.training
    first = next(EpochBatches(images.training, training.batch_size, 4, training.seed, 0))
    seen = []
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach().clone()) and None)
        for layer in hidden_layers(trainer.model)
    ]
    model = trainer.model.eval()
    z, _ = model.transform_noise(first.noise, model.posterior(first.x))
    model.log_joint(first.x, z)
    for hook in hooks:
        hook.remove()
    assert len(seen) > 5
    for output in seen:
        variance = output.var(0, correction=0)
        assert output.mean(0).abs().max() < 1e-4
        assert ((variance - 1).abs() < 1e-3)[variance > 1e-6].all()
    averaged = trainer._average.model.state_dict()
    assert all(torch.equal(averaged[name], tensor) for name, tensor in trainer.model.state_dict().items())
    trainer.close()


@pytest.mark.parametrize(
    ("epochs", "head"), [(0, "off"), (1, "off"), pytest.param(0, "pixelcnn", marks=pytest.mark.slow)]
)
def test_a_run_goes_on_from_its_start_as_if_it_had_not_been_ended(normed, images, tmp_path, cpu, epochs, head):
    values = normed.model_dump()
    sizes = {"layers": 1, "maps": 2, "kernel": 3, "features": 2}
    values["model"]["decoder"]["autoregressive"] = {"kind": head, "pixelcnn": sizes}
    normed = RunConfig.model_validate(values)
    whole = train(Trainer.start(normed, images, RunFolder(tmp_path / "whole"), cpu))
    cut = Trainer.start(normed, images, RunFolder(tmp_path / "cut"), cpu)
    for _ in range(epochs):
        cut.run_epoch()
    cut.close()  # killed: what was not saved is lost
    again = train(Trainer.resume(normed, images, RunFolder(tmp_path / "cut"), cpu))
    assert losses(again) == losses(whole)
    models = [load_trained_model(each, "last", cpu).model.state_dict() for each in (whole, again)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
