"""What a GPU would compute, as far as PyTorch says without one: tensors that know shape, dtype and device alone.

An operation on tensors of two devices fails, and so does one that reads a value, for which a GPU's queue would be
waited for.
"""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from iafsweep.evaluation.bridges import posterior_bridge, prior_bridge
from iafsweep.models import VAE
from iafsweep.models.folding import folded
from iafsweep.models.precision import full_precision
from iafsweep.training.computing import Computing
from iafsweep.training.gradient import mean_terms
from tests.training.test_step import model_of

LOWERED = Computing("bfloat16", compiled=False)
FULL = Computing("float32", compiled=False)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that autocast alone believes in: PyTorch would open it."""
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    return FakeTensorMode()


def on_gpu(model: VAE, gpu) -> VAE:
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    like = gpu.from_tensor(tensor.detach())
                    with gpu:
                        there = like.to("cuda")
                        tensors[name] = nn.Parameter(there) if isinstance(tensor, nn.Parameter) else there
    return model


def batch(*leading):
    return torch.empty(20, 1, 8, 8, device="cuda"), torch.empty(*leading, 20, 4, device="cuda")


@pytest.mark.parametrize("kind", ["mlp", "resnet", "gated_conv"])
@pytest.mark.parametrize("computing", [FULL, LOWERED], ids=lambda each: each.precision)
def test_the_bound_of_a_batch_is_computed_there_alone(gpu, kind, computing):
    model, outputs = on_gpu(model_of(kind), gpu), []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.register_forward_hook(lambda _, __, output: outputs.append(output))
    with gpu:
        terms = mean_terms(model, computing)(*batch())
    assert {(each.device.type, each.dtype) for each in terms} == {("cuda", torch.float32)}
    assert {(each.device.type, each.dtype) for each in outputs} == {("cuda", computing.dtype)}
    if computing is FULL:  # in bfloat16 PyTorch asks the device itself before it chooses
        assert all(each.is_contiguous(memory_format=torch.channels_last) for each in outputs if each.dim() == 4)


@pytest.mark.parametrize("kind", ["mlp", "resnet", "gated_conv"])
@pytest.mark.parametrize("bridge_of", [posterior_bridge, prior_bridge])
def test_samples_are_scored_there_alone(gpu, kind, bridge_of):
    model = on_gpu(folded(model_of(kind).eval()), gpu)
    with gpu, full_precision():
        x, noise = batch(50)
        bridge = bridge_of(model, x, model.posterior(x))
        densities = bridge.log_densities(noise)
    assert [(each.device.type, each.dtype, each.shape) for each in densities] == [("cuda", torch.float32, (50, 20))] * 2


def test_what_reads_a_value_or_mixes_devices_would_be_seen(gpu):
    model = on_gpu(model_of("mlp"), gpu)
    with gpu:
        x, noise = batch()
        with pytest.raises(DataDependentOutputException):
            model.encode(x)  # its checks read the images
        with pytest.raises(RuntimeError, match="cpu"):
            mean_terms(model, FULL)(x, noise.cpu())
