"""Peers compute where they are told to; `meta`, a device without content, stands for a GPU."""

import pytest
import torch

from benchmarks.peers import nflows_flow, zuko_flow

LATENT, CONTEXT, WIDTH, DEPTH = 3, 5, 8, 2


@pytest.mark.parametrize(("package", "make"), [("zuko", zuko_flow), ("nflows", nflows_flow)])
def test_flows_of_other_packages_compute_on_the_device_asked_for(package, make):
    pytest.importorskip(package)
    for device in (torch.device("cpu"), torch.device("meta")):
        apply = make(LATENT, CONTEXT, WIDTH, DEPTH, device)
        z, context = torch.zeros((4, LATENT), device=device), torch.zeros((4, CONTEXT), device=device)
        found = apply(z, context)
        assert found.shape == z.shape
        assert found.device == device
        assert not found.requires_grad
