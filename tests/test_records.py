"""Rules over records that several floors go by."""

from itertools import permutations

from iafsweep.estimators.log_weights import CONFIDENCE, PARETO_K_LIMIT, VARIANCE_BOUND, VARIANCE_LIMIT
from iafsweep.records import shown_figures, trust
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


def test_what_counts_as_untrusted_is_told_as_the_rule_is_without_pytorch_too():
    bound = f"upper {CONFIDENCE:.0%} limit of the variance above {VARIANCE_BOUND:g}"
    limits = f"variance above {VARIANCE_LIMIT:g}", bound, f"above {PARETO_K_LIMIT:g}"
    assert all(limit in trust.UNEVEN for limit in limits)
