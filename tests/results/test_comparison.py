import pytest
import torch

from iafsweep.config import ImageFormat
from iafsweep.evaluation.evaluate import evaluate
from iafsweep.models import build_model
from iafsweep.results.comparison import Comparison, LeftOut, compare_images
from tests.evaluation.small import GREY, MODEL, run_config, small_model


def scored(model, **evaluation):
    return evaluate(model, {"test": GREY}, run_config(**evaluation))


def other_model():
    return build_model(MODEL, ImageFormat((1, 8, 8)), seed=1).eval()


def test_differences_are_paired_over_images_and_bits():
    first, second = (scored(model, binarisations=2) for model in (small_model(), other_model()))
    found = compare_images(first.images, second.images, "t0001", "t0002").differences
    assert [each.method for each in found] == ["importance_sampling", "negative_elbo"]
    sampled = found[0]
    nll = [each.estimates[1] for each in (first, second)]
    assert sampled.difference == pytest.approx(nll[0].nll - nll[1].nll, abs=1e-9)
    assert (sampled.first, sampled.second, sampled.images) == ("t0001", "t0002", 12)
    of_image = [
        torch.tensor([shard.log_likelihood for shard in each.shards[2:]], dtype=torch.float64).mean(0)
        for each in (first, second)
    ]
    expected = (of_image[1] - of_image[0]).std().item() / 12**0.5
    assert sampled.standard_error == pytest.approx(expected)


def test_only_images_that_both_have_are_compared():
    first = scored(small_model())
    second = scored(other_model(), importance_sampling={"samples": 60, "images": 5}, bound_images=7)
    found = compare_images(first.images, second.images, "a", "b").differences
    assert {each.method: each.images for each in found} == {"importance_sampling": 5, "negative_elbo": 7}
    assert compare_images(first.images, second.images[:0], "a", "b") == Comparison((), ())


def test_a_model_differs_from_itself_by_nothing():
    table, again = scored(small_model()).images, scored(small_model()).images
    for each in compare_images(table, again, "a", "b").differences:
        assert (each.difference, each.standard_error) == (0.0, 0.0)


HAIS = {"enabled": True, "images": 3, "chains": 4, "temperatures": 10, "leapfrog_steps": 2, "pilot_passes": 1}


def test_figures_made_with_different_settings_are_not_paired():
    first = scored(small_model(), hais=HAIS, bound_images=5)
    poorer = HAIS | {"start": "prior", "chains": 2, "temperatures": 5}
    second = scored(other_model(), hais=poorer, importance_sampling={"samples": 2}, bound_images=5)
    found = compare_images(first.images, second.images, "t0001", "t0002")
    assert [(each.method, each.settings) for each in found.differences] == [("negative_elbo", "1 sample")]
    assert found.left_out == (
        LeftOut("hais", "test", "t0001", "t0002", "posterior 10x2x4", "prior 5x2x2"),
        LeftOut("importance_sampling", "test", "t0001", "t0002", "60 samples", "2 samples"),
    )
