import gc
import weakref

import pytest
import torch

from iafsweep.estimators import (
    NOISE_BLOCK,
    NoiseBlocks,
    annealed_importance_sampling,
    importance_sampling,
    linear_schedule,
    log_weight_blocks,
)
from iafsweep.estimators.noise import draw_normal, draw_uniform
from iafsweep.seeds import generator
from tests.oracles import LinearGaussian

CPU = torch.device("cpu")
IMAGES = 3
MODEL = LinearGaussian.simulate(images=IMAGES)
BRIDGE = MODEL.flow_bridge()
SETTINGS = {"step_size": 0.3, "leapfrog_steps": 2}


def noise(first=0, images=range(IMAGES)):
    return NoiseBlocks(lambda block: [generator("cpu", 7, image, block) for image in images], first)


def test_fewer_rows_are_the_first_of_more_in_every_draw():
    few, many = noise().open(), noise().open()
    count = 60
    for _ in range(3):
        short = draw_normal((count, IMAGES, 2), few, dtype=torch.float64, device=CPU)
        long = draw_normal((130, IMAGES, 2), many, dtype=torch.float64, device=CPU)
        assert torch.equal(short, long[:count])
        assert torch.equal(
            draw_uniform((count, IMAGES), few, device=CPU), draw_uniform((130, IMAGES), many, device=CPU)[:count]
        )
    assert len(long.unique()) == long.numel()


def test_samples_go_on_at_any_block():
    whole = torch.cat(list(log_weight_blocks(BRIDGE, 170, noise().open())))
    parts = [
        torch.cat(list(log_weight_blocks(BRIDGE, count, noise(first).open()))) for first, count in ((0, 100), (2, 70))
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_importance_sampling_holds_the_generators_of_one_block():
    alive = weakref.WeakSet()
    most = 0

    def of_block(block):
        nonlocal most
        opened = [generator("cpu", 7, image, block) for image in range(IMAGES)]
        alive.update(opened)
        most = max(most, len(alive))
        return opened

    gc.disable()  # reference counts alone must let go
    try:
        for _ in log_weight_blocks(BRIDGE, 10 * NOISE_BLOCK, NoiseBlocks(of_block).open()):
            pass
    finally:
        gc.enable()
    assert most == IMAGES


def test_a_closed_block_gives_no_noise_twice():
    blocks = noise().open()
    importance_sampling(BRIDGE, 60, blocks)
    with pytest.raises(ValueError, match="block 0 of the noise is already drawn and closed"):
        importance_sampling(BRIDGE, 60, blocks)


def test_the_first_chains_of_many_are_those_of_few():
    few, many = (
        annealed_importance_sampling(BRIDGE, chains, linear_schedule(6), generator=noise().open(), **SETTINGS)
        for chains in (4, NOISE_BLOCK + 7)
    )
    assert torch.allclose(few.log_weights, many.log_weights[:4], atol=1e-10)


def test_images_keep_their_noise_whoever_is_beside_them():
    model = LinearGaussian.simulate(images=5)
    whole = importance_sampling(model.prior_bridge(), 70, noise(images=range(5)).open()).log_likelihood
    alone = LinearGaussian(model.weight, model.bias, model.noise_std, model.z[[3]], model.x[[3]])
    assert importance_sampling(alone.prior_bridge(), 70, noise(images=[3]).open()).log_likelihood == pytest.approx(
        whole[3].item(), abs=1e-12
    )


def test_one_increment_is_importance_sampling_with_the_same_noise():
    annealed = annealed_importance_sampling(BRIDGE, 120, linear_schedule(1), generator=noise().open(), **SETTINGS)
    sampled = importance_sampling(BRIDGE, 120, noise().open())
    assert torch.allclose(annealed.statistics.log_likelihood, sampled.log_likelihood, atol=1e-12)
