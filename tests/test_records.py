"""Rules over records that several floors go by."""

from itertools import permutations

from iafsweep.estimators.log_weights import PARETO_K_LIMIT, VARIANCE_LIMIT
from iafsweep.records import on_most_images, trust
from tests.report.sweeps import evaluation


def test_the_figure_of_a_method_is_that_on_the_most_images_in_whatever_order():
    bound, sampled, annealed = evaluation(0.1).estimates
    beside = sampled.model_copy(update={"images": annealed.images, "nll": 1.0})  # on the images of HAIS alone
    training = bound.model_copy(update={"split": "train", "images": 10**6})
    for estimates in permutations((bound, sampled, beside, annealed, training)):
        assert on_most_images(estimates) == {
            ("negative_elbo", "test"): bound,
            ("negative_elbo", "train"): training,
            ("importance_sampling", "test"): sampled,
            ("hais", "test"): annealed,
        }
    equal = sampled.model_copy(update={"nll": 2.0})
    assert on_most_images((sampled, equal))["importance_sampling", "test"] is sampled


def test_what_counts_as_untrusted_is_known_without_pytorch_too():
    assert (trust.UNTRUSTED_VARIANCE, trust.UNTRUSTED_PARETO_K) == (VARIANCE_LIMIT, PARETO_K_LIMIT)
