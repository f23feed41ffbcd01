"""Rules over records that several floors go by."""

from itertools import permutations

from iafsweep.records import shown_figures
from tests.report.sweeps import evaluation


def test_the_figure_of_a_method_is_that_on_the_most_images_in_whatever_order():
    bound, sampled, annealed = evaluation(0.1).estimates
    beside = sampled.model_copy(update={"images": annealed.images, "nll": 1.0})  # on the images of HAIS alone
    training = bound.model_copy(update={"split": "train", "images": 10**6})
    for estimates in permutations((bound, sampled, beside, annealed, training)):
        assert shown_figures(estimates) == {
            ("negative_elbo", "test"): bound,
            ("negative_elbo", "train"): training,
            ("importance_sampling", "test"): sampled,
            ("hais", "test"): annealed,
        }
    equal = sampled.model_copy(update={"seconds": 2.0})
    assert shown_figures((sampled, equal))["importance_sampling", "test"] is sampled
    lower = sampled.model_copy(update={"nll": 2.0})
    assert shown_figures((sampled, lower))["importance_sampling", "test"] is lower
