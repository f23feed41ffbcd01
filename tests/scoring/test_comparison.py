import pytest
import torch

from iafsweep.evaluation.comparison import compare_images
from iafsweep.evaluation.figures import per_image_table
from iafsweep.evaluation.report import evaluate
from iafsweep.models import build_model
from tests.scoring.small import GREY, MODEL, run_config, small_model


def scored(model, **evaluation):
    return evaluate(model, {"test": GREY}, run_config(**evaluation))


def other_model():
    return build_model(MODEL, (1, 8, 8), seed=1).eval()


def test_differences_are_paired_over_images_and_bits():
    first, second = (scored(model, binarisations=2) for model in (small_model(), other_model()))
    found = compare_images(per_image_table(first.shards), per_image_table(second.shards), "t0001", "t0002")
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
    found = compare_images(per_image_table(first.shards), per_image_table(second.shards), "a", "b")
    assert {each.method: each.images for each in found} == {"importance_sampling": 5, "negative_elbo": 7}
    assert compare_images(per_image_table(first.shards), per_image_table(second.shards)[:0], "a", "b") == []


def test_a_model_differs_from_itself_by_nothing():
    table = per_image_table(scored(small_model()).shards)
    again = per_image_table(scored(small_model()).shards)
    for each in compare_images(table, again, "a", "b"):
        assert (each.difference, each.standard_error) == (0.0, 0.0)
