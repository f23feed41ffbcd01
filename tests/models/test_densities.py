"""Densities against torch.distributions, and at the extremes."""

import torch
from model_cases import images, normal
from torch.distributions import Bernoulli, Normal

from iafsweep.models import bernoulli_log_density, diagonal_normal_log_density, standard_normal_log_density


def test_standard_normal():
    x = 3 * normal(2, 5, 4)
    assert torch.allclose(standard_normal_log_density(x), Normal(0.0, 1.0).log_prob(x).sum(-1), atol=1e-12)


def test_diagonal_normal_broadcasts_over_samples():
    x, mean, log_std = normal(7, 5, 4), normal(5, 4, seed=1), normal(5, 4, seed=2)
    expected = Normal(mean, log_std.exp()).log_prob(x).sum(-1)
    density = diagonal_normal_log_density(x, mean, log_std)
    assert density.shape == (7, 5)
    assert torch.allclose(density, expected, atol=1e-12)


def test_diagonal_normal_broadcasts_over_dimensions():
    x = normal(7, 4)
    one = torch.tensor([0.3], dtype=torch.float64)
    expected = Normal(0.3, one.exp()).log_prob(x).sum(-1)
    assert torch.allclose(diagonal_normal_log_density(x, one, one), expected, atol=1e-12)


def test_bernoulli_broadcasts_over_samples_in_the_dtype_of_the_logits():
    x, logits = images(5).flatten(1), 4 * normal(7, 5, 64)
    density = bernoulli_log_density(x, logits)
    assert density.shape == (7, 5)
    assert torch.allclose(density, Bernoulli(logits=logits).log_prob(x.expand(7, 5, 64)).sum(-1), atol=1e-12)
    assert torch.equal(bernoulli_log_density(x.float(), logits), density)


def test_bernoulli_is_stable_for_huge_logits():
    logits = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    right, wrong = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    assert bernoulli_log_density(right, logits).item() == 0.0
    density = bernoulli_log_density(wrong, logits)
    assert density.item() == -2000.0
    density.sum().backward()
    assert torch.equal(logits.grad, torch.tensor([[-1.0, 1.0]]))


def test_bernoulli_of_grey_values():
    x, logits = torch.tensor([0.25], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    p = logits.sigmoid()
    assert torch.allclose(bernoulli_log_density(x, logits), (x * p.log() + (1 - x) * (1 - p).log()).sum(), atol=1e-12)
