import pytest
import torch

from iafsweep.config import DataConfig
from iafsweep.data import binarise, fixed_binarisation, seen, seen_in_training
from iafsweep.seeds import derive_seed, generator


def grey(count=250, size=8):
    return torch.randint(0, 256, (count, 1, size, size), dtype=torch.uint8, generator=generator("cpu", 5))


def test_black_and_white_never_flip():
    pixels = torch.tensor([0, 255], dtype=torch.uint8).repeat(100_000)
    bits = binarise(pixels, generator("cpu", 0))
    assert torch.equal(bits, pixels.float() / 255)


@pytest.mark.parametrize(
    "bits_of", [lambda x: binarise(x, generator("cpu", 0)), lambda x: fixed_binarisation(x, "test", 0)]
)
def test_the_largest_draw_makes_no_bit_of_two(monkeypatch, bits_of):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, 1 - 2**-24))
    pixels = torch.arange(256, dtype=torch.uint8).unsqueeze(1)
    assert torch.equal(bits_of(pixels), (pixels > 0).float())


def test_twenty_million_white_pixels_are_ones():
    white = torch.full((20_000_000,), 255, dtype=torch.uint8)
    assert binarise(white, torch.Generator().manual_seed(2)).max() == 1


def test_all_other_bits_are_those_of_the_whole_part_of_the_sum():
    images = torch.arange(256, dtype=torch.uint8).repeat_interleave(10_000)
    uniform = torch.rand(images.shape, generator=generator("cpu", 3))
    assert torch.equal(binarise(images, generator("cpu", 3)), (images / 255 + uniform).floor())


@pytest.mark.parametrize("pixel", [1, 64, 128, 254])
def test_a_bit_is_one_with_probability_pixel_over_255(pixel):
    count = 200_000
    bits = binarise(torch.full((count,), pixel, dtype=torch.uint8), generator("cpu", 1))
    p = pixel / 255
    assert set(bits.unique().tolist()) <= {0.0, 1.0}
    assert abs(bits.double().mean().item() - p) < 4 * (p * (1 - p) / count) ** 0.5


def test_each_epoch_draws_afresh_and_a_seed_repeats():
    images = grey()
    noise = generator("cpu", 0)
    first, second = binarise(images, noise), binarise(images, noise)
    assert not torch.equal(first, second)
    assert torch.equal(first, binarise(images, generator("cpu", 0)))


@pytest.mark.parametrize(("first", "last"), [(0, 1), (30, 70), (99, 101), (100, 200), (150, 250), (0, 250)])
def test_a_part_has_the_bits_it_has_in_the_whole(first, last):
    images = grey()
    whole = fixed_binarisation(images, "test", 3)
    assert torch.equal(fixed_binarisation(images[first:last], "test", 3, first), whole[first:last])


def test_seed_and_split_give_other_bits():
    images = grey()
    bits = fixed_binarisation(images, "test", 3)
    assert not torch.equal(bits, fixed_binarisation(images, "test", 4))
    assert not torch.equal(bits, fixed_binarisation(images, "validation", 3))
    assert fixed_binarisation(images[:0], "test", 3).shape == (0, 1, 8, 8)


def test_seeds_tell_numbers_from_names_and_parts_from_joins():
    assert derive_seed(1, "epoch", 2) == derive_seed(1, "epoch", 2)
    assert len({derive_seed(1, 2), derive_seed("1", 2), derive_seed(12), derive_seed(2, 1), derive_seed("1", "2")}) == 5
    assert 0 <= derive_seed("x") < 2**63


def data(binarisation):
    return DataConfig(source="mnist_mini", binarisation=binarisation, binarisation_seed=3)


def test_what_is_scored_is_the_same_however_often_training_draws():
    images = grey()
    for binarisation in (None, "dynamic", "fixed"):
        assert torch.equal(seen(images, data(binarisation), "test"), fixed_binarisation(images, "test", 3))
        other = fixed_binarisation(images[30:70], "test", 8, 30)
        assert torch.equal(seen(images[30:70], data(binarisation), "test", 30, seed=8), other)


def test_a_threshold_is_at_half_of_the_largest_level():
    pixels = torch.tensor([0, 127, 128, 255], dtype=torch.uint8)[:, None]
    assert seen(pixels, data("threshold"), "train").flatten().tolist() == [0, 0, 1, 1]


def test_without_binarisation_levels_are_seen():
    images = grey()
    assert torch.equal(seen(images, data("none"), "validation"), images.float())
    kept, see = seen_in_training(images, data("none"))
    assert torch.equal(see(kept, generator("cpu", 0)), images.float())


@pytest.mark.parametrize("levels", [2, 17])
def test_a_bit_of_fewer_levels_is_one_with_probability_level_over_the_largest(levels):
    images = torch.arange(levels, dtype=torch.uint8).repeat_interleave(50_000)
    found = binarise(images, generator("cpu", 1), levels).view(levels, -1).double().mean(1)
    p = torch.arange(levels) / (levels - 1)
    assert ((found - p).abs() <= 4 * (p * (1 - p) / 50_000).sqrt()).all()


def test_training_draws_anew_or_sees_bits_made_once():
    images = grey()
    noise = generator("cpu", 0)
    kept, see = seen_in_training(images, data("dynamic"))
    assert kept is images
    assert torch.equal(see(images, generator("cpu", 4)), binarise(images, generator("cpu", 4)))
    for binarisation in ("fixed", "threshold"):
        kept, see = seen_in_training(images, data(binarisation))
        assert kept.dtype == torch.uint8
        assert torch.equal(see(kept, noise), see(kept, noise))
        assert torch.equal(see(kept, noise), seen(images, data(binarisation), "train"))
