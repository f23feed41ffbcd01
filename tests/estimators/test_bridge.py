import pytest
import torch

from iafsweep.estimators import NOISE_BLOCK, Bridge
from iafsweep.estimators.bridge import split_rows
from iafsweep.estimators.noise import draw_normal, draw_uniform
from tests.oracles import LinearGaussian, normal, seeded

CPU = torch.device("cpu")


def test_fewer_samples_are_the_first_of_more():
    bridge = LinearGaussian.simulate(images=3).prior_bridge()
    few, many = bridge.draw(7, seeded(1)), bridge.draw(NOISE_BLOCK + 13, seeded(1))
    assert few.shape == (7, 3, 3)
    assert many.shape == (NOISE_BLOCK + 13, 3, 3)
    assert torch.equal(few, many[:7])


def test_gaussian_start_has_its_own_density():
    mean, log_std = normal(4, 3, seed=1), 0.3 * normal(4, 3, seed=2)
    bridge = Bridge.from_gaussian(mean, log_std, lambda z: z.sum(-1))
    z = bridge.draw(20, seeded(3))
    log_start, log_target = bridge.log_densities(z)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(z).sum(-1)
    assert torch.allclose(log_start, expected, atol=1e-12)
    assert torch.equal(log_target, z.sum(-1))


def test_one_generator_an_image_makes_images_independent_of_their_neighbours():
    together = draw_normal((5, 3, 2), [seeded(s) for s in (1, 2, 3)], dtype=torch.float32, device=CPU)
    apart = draw_normal((5, 1, 2), [seeded(2)], dtype=torch.float32, device=CPU)
    assert torch.equal(together[:, 1:2], apart)
    uniform = draw_uniform((5, 3), [seeded(s) for s in (1, 2, 3)], device=CPU)
    assert torch.equal(uniform[:, 1:2], draw_uniform((5, 1), [seeded(2)], device=CPU))
    assert uniform.dtype == torch.float64


@pytest.mark.parametrize(("rows", "pieces"), [(None, 1), (1, 10), (7, 5), (12, 3), (1000, 1)])
def test_pieces_hold_whole_samples_and_all_of_them(rows, pieces):
    z = normal(10, 3, 2, seed=1)
    parts = split_rows(z, rows)
    assert len(parts) == pieces
    assert torch.equal(torch.cat(parts), z)


def test_errors():
    bridge = LinearGaussian.simulate(images=3).prior_bridge()
    with pytest.raises(ValueError, match="one per image: got 2 for 3 images"):
        bridge.draw(5, [seeded(1), seeded(2)])
    with pytest.raises(ValueError, match="samples must be at least 1: got 0"):
        bridge.draw(0, seeded(1))
    with pytest.raises(ValueError, match=r"must both be \[B, D\]: got \(3,\) and \(3,\)"):
        Bridge.from_gaussian(torch.zeros(3), torch.zeros(3), lambda z: z.sum(-1))
    with pytest.raises(ValueError, match=r"positions must be \[S, B, D\]: got \(3, 2\)"):
        split_rows(torch.zeros(3, 2), None)
    with pytest.raises(ValueError, match="rows_per_chunk must be at least 1: got 0"):
        split_rows(torch.zeros(3, 2, 1), 0)
