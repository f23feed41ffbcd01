"""What training needs at least, against what it really takes."""

import pytest
import torch

from iafsweep.config import ImageFormat, load_config
from iafsweep.config.model import SylvesterConfig
from iafsweep.errors import UserError
from iafsweep.models import build_model
from iafsweep.training import device as memory
from iafsweep.training.objective import bound_terms

TINY = ["data.source=mnist_mini", "model.encoder.kind=mlp", "model.decoder.kind=mlp", "model.flow.depth=0",
        "model.latent_size=3", "model.encoder.mlp.hidden_sizes=[5]", "model.decoder.mlp.hidden_sizes=[7]"]  # fmt: skip


@pytest.mark.parametrize("flow", ["iaf", "planar", "sylvester", "naf", "spline"])
def test_parameters_and_activations_are_those_of_the_real_model(config, flow):
    kind = config.model.flow.model_copy(update={"kind": flow, "sylvester": SylvesterConfig(columns=3)})
    config = config.model_copy(update={"model": config.model.model_copy(update={"flow": kind})})
    need = memory.training_memory(config)
    model = build_model(config.model, ImageFormat((1, 28, 28)), 0)
    assert sum(need.parameters.values()) == sum(each.numel() for each in model.parameters())
    kept = {}
    weights = {each.data_ptr() for each in model.state_dict(keep_vars=True).values()}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = bound_terms(model, torch.rand(50, 1, 28, 28), torch.randn(50, 4))
        loss = terms.negative_elbo.mean()
    real = sum(each.untyped_storage().nbytes() for place, each in kept.items() if place not in weights)
    assert loss.requires_grad
    assert need.activations == pytest.approx(real, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (["model.encoder.mlp.hidden_sizes=[100000, 10000000]"], "encoder 1,0"),
        (["model.latent_size=1000000000"], "decoder"),
        (["model.flow.depth=2", "model.flow.made.width=1000000"], "flow 2,0"),
        (["model.latent_size=2000000000", "model.prior.kind=spline_coupling"], "prior"),
        (["model.latent_size=60000", "model.flow.kind=sylvester", "model.flow.sylvester.columns=60000",
          "model.flow.depth=1"], "flow"),
        (["model.latent_size=2000000000", "model.encoder.mlp.hidden_sizes=[2000000000]"], "too large to build"),
    ],
)  # fmt: skip
def test_absurd_sizes_are_refused_by_name_without_memory_for_them(changes, named):
    config = load_config("reference", [*TINY, *changes])
    with pytest.raises(UserError, match=f"(?s){named}.*lower model.latent_size"):
        memory.refuse_too_large(config, torch.device("cpu"))


def test_a_batch_can_be_too_large_too(monkeypatch, config):
    need = memory.training_memory(config)
    monkeypatch.setattr(memory, "device_memory", lambda device: need.total)
    memory.refuse_too_large(config, torch.device("cpu"))
    larger = config.model_copy(update={"training": config.training.model_copy(update={"batch_size": 9000})})
    with pytest.raises(UserError, match="for a batch of 9,000 images"):
        memory.refuse_too_large(larger, torch.device("cpu"))


def test_failed_allocations_are_recognised_and_other_errors_are_not():
    with pytest.raises(RuntimeError) as failed:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.is_out_of_memory(failed.value)
    assert memory.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert memory.is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not memory.is_out_of_memory(other.value)
