import math

import pytest
import torch

from iafsweep.estimators import estimator_error, mean_over_images, paired_difference, untrusted_share
from tests.oracles import normal


def test_mean_and_its_standard_error():
    mean = mean_over_images(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert mean == (3.0, pytest.approx((14 / 3) ** 0.5 / 2), 4)
    assert math.isnan(mean_over_images(torch.tensor([1.0])).standard_error)


def test_pairs_see_what_separate_errors_hide():
    images = 50 * normal(200, seed=1)
    better = images + 0.3 + 0.1 * normal(200, seed=2)
    difference = paired_difference(better, images)
    assert difference.value == pytest.approx(0.3, abs=0.03)
    assert difference.standard_error == pytest.approx(0.1 / 200**0.5, rel=0.2)
    assert mean_over_images(images).standard_error > 2
    assert paired_difference(images, better).value == -difference.value


def test_estimator_error_shrinks_with_images():
    assert estimator_error(torch.full((100,), 0.5)) == pytest.approx(0.05)
    assert estimator_error(torch.tensor([0.3, 0.4])) == pytest.approx(0.25)
    assert estimator_error(torch.tensor([0.3, math.inf])) == math.inf


def test_untrusted_share():
    assert untrusted_share(torch.tensor([True, False, False, True])) == 0.5


def test_errors():
    with pytest.raises(ValueError, match="cover the same images: got 3 and 2 images"):
        paired_difference(torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match=r"vector of at least one value: got shape \(0,\)"):
        mean_over_images(torch.zeros(0))
