import math

import pytest
import torch
from scipy.stats import chi2

from iafsweep.estimators import LogWeightStatistics, jackknife_standard_error, log_mean_exp
from iafsweep.estimators.log_weights import KEPT_WEIGHTS, is_untrusted, largest_trusted_variance
from tests.oracles import normal

INF = math.inf


def column(*values):
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def test_closed_forms():
    summary = LogWeightStatistics.of(column(math.log(1), math.log(2), math.log(3), math.log(6))).summary()
    assert summary.log_likelihood.item() == pytest.approx(math.log(3))
    assert summary.effective_sample_size.item() == pytest.approx(144 / 50)
    logs = [math.log(w) for w in (1, 2, 3, 6)]
    assert summary.mean_log_weight.item() == pytest.approx(math.log(36) / 4)
    assert summary.log_weight_variance.item() == pytest.approx(sum((v - math.log(36) / 4) ** 2 for v in logs) / 3)
    leave_one_out = [math.log((12 - w) / 3) for w in (1, 2, 3, 6)]
    mean = sum(leave_one_out) / 4
    assert summary.standard_error.item() == pytest.approx((3 / 4 * sum((v - mean) ** 2 for v in leave_one_out)) ** 0.5)
    assert summary.pareto_k.isnan().all()


def test_huge_and_tiny_log_weights():
    assert log_mean_exp(column(-1e6, -1e6 + math.log(3))).item() == pytest.approx(-1e6 + math.log(2))
    assert log_mean_exp(column(1e6, 0.0)).item() == pytest.approx(1e6 - math.log(2))
    assert log_mean_exp(column(-INF, 0.0)).item() == pytest.approx(-math.log(2))
    assert log_mean_exp(column(-INF, -INF)).item() == -INF
    assert log_mean_exp(column(math.nan, 0.0)).item() == pytest.approx(-math.log(2))
    assert log_mean_exp(column(INF, 0.0)).item() == pytest.approx(-math.log(2))


@pytest.mark.parametrize("cuts", [[30], [1, 2, 3], [10, 20, 30, 40, 50], [59]])
def test_merging_pieces_equals_all_at_once(cuts):
    log_weights = 2 * normal(60, 4, seed=1) + 1000
    log_weights[::7, 1] = -INF
    log_weights[:, 2] = -INF
    log_weights[:11, 3] = math.nan
    whole = LogWeightStatistics.of(log_weights)
    merged = None
    for piece in torch.tensor_split(log_weights, cuts):
        part = LogWeightStatistics.of(piece)
        merged = part if merged is None else merged.merge(part)
    assert merged.count == whole.count == 60
    for one, other in zip(merged.summary(), whole.summary(), strict=True):
        assert torch.allclose(one.double(), other.double(), rtol=1e-12, equal_nan=True)


def test_many_weights_keep_their_largest_only():
    log_weights = normal(5 * KEPT_WEIGHTS, 2, seed=1)
    statistics = LogWeightStatistics.of(log_weights[:3000]).merge(LogWeightStatistics.of(log_weights[3000:]))
    assert statistics.largest.shape == (KEPT_WEIGHTS, 2)
    kept = statistics.largest.sort(dim=0, descending=True).values
    assert torch.equal(kept, log_weights.sort(dim=0, descending=True).values[:KEPT_WEIGHTS])
    exact = jackknife_standard_error(log_weights)
    assert torch.allclose(statistics.standard_error, exact, rtol=0.01)


def test_zero_weights_are_counted_and_never_trusted():
    log_weights = torch.cat([normal(40, 1, seed=1) * 0.01, column(-INF)])
    summary = LogWeightStatistics.of(log_weights).summary()
    assert summary.log_likelihood.isfinite()
    assert summary.effective_sample_size.item() == pytest.approx(40, rel=1e-3)
    assert summary.mean_log_weight.item() == -INF
    assert summary.log_weight_variance.item() == INF
    assert summary.untrusted.item()


def test_all_weights_zero():
    summary = LogWeightStatistics.of(torch.full((30, 2), -INF)).summary()
    assert (summary.log_likelihood == -INF).all()
    assert (summary.effective_sample_size == 0).all()
    assert (summary.standard_error == INF).all()
    assert summary.pareto_k.isnan().all()
    assert summary.untrusted.all()


def test_one_weight_tells_no_spread():
    summary = LogWeightStatistics.of(normal(1, 3, seed=1)).summary()
    assert torch.allclose(summary.log_likelihood, normal(1, 3, seed=1)[0])
    assert summary.standard_error.isnan().all()
    assert summary.log_weight_variance.isnan().all()
    assert summary.untrusted.all()


def test_untrusted_means_uneven_weights():
    wide = LogWeightStatistics.of(1.5 * normal(500, 4, seed=1)).summary()
    narrow = LogWeightStatistics.of(0.3 * normal(500, 4, seed=1)).summary()
    assert wide.untrusted.all()
    assert not narrow.untrusted.any()
    heavy = (torch.linspace(0, 1, 1002, dtype=torch.float64)[1:-1] ** -0.9).log().unsqueeze(1) * 1.0
    summary = LogWeightStatistics.of(heavy).summary()
    assert summary.log_weight_variance.item() < 1
    assert summary.pareto_k.item() > 0.7
    assert summary.untrusted.item()


IMAGES = 100_000


def trusted_share(variance, chains, skewness=0.0):
    """The share of images that pass, with log-weights of a variance: normal ones, or gamma ones skewed to the left."""
    if skewness:
        shape = 4 / skewness**2
        gamma = torch.distributions.Gamma(torch.tensor(shape, dtype=torch.float64), 1.0)
        with torch.random.fork_rng():
            torch.manual_seed(chains)
            standard = (shape - gamma.sample((chains, IMAGES))) / math.sqrt(shape)
    else:
        standard = normal(chains, IMAGES, seed=chains)
    statistics = LogWeightStatistics.of(math.sqrt(variance) * standard)
    no_k = torch.full((IMAGES,), math.nan)
    untrusted = is_untrusted(statistics.log_likelihood, statistics.log_weight_variance, no_k, chains)
    return 1 - untrusted.double().mean().item()


@pytest.mark.parametrize(
    ("chains", "of_two", "of_three_tenths"),
    [(2, 0.05, 0.129), (4, 0.05, 0.498), (8, 0.05, 0.956), (16, 0.05, 1.0), (64, 0.0003, 1.0)],
)
def test_of_the_images_with_a_variance_of_two_at_most_one_in_twenty_passes(chains, of_two, of_three_tenths):
    # Expected shares from the chi-square distribution; four standard errors of the simulation.
    for variance, share in ((2.0, of_two), (0.3, of_three_tenths)):
        bound = 4 * math.sqrt(max(share * (1 - share), 1e-4) / IMAGES)
        assert trusted_share(variance, chains) == pytest.approx(share, abs=bound)


def test_skewed_log_weights_pass_a_little_more_often():
    # Gamma log-weights of skewness -0.5: what docs/estimators.md says of them.
    for chains, share in ((4, 0.0534), (8, 0.0572), (16, 0.0595)):
        assert trusted_share(2.0, chains, skewness=0.5) == pytest.approx(share, abs=6 * math.sqrt(0.06 / IMAGES))


@pytest.mark.parametrize("chains", range(1, 70))
def test_the_largest_trusted_variance_is_at_most_one_and_its_upper_limit_two(chains):
    largest = largest_trusted_variance(chains)
    assert largest <= 1
    assert largest_trusted_variance(chains + 1) >= largest
    if chains > 1:
        upper = (chains - 1) * largest / chi2.ppf(0.05, chains - 1)
        assert upper <= 2 + 1e-12
        assert largest == 1 or upper == pytest.approx(2)
    assert (largest == 1) == (chains >= 18)


def test_the_error_of_a_single_image_covers_as_the_page_says():
    # Log-normal weights of variance 4, 1,000 of them: right on average, and 89 % where 95 % would be thought.
    log_weights = 2 * normal(1000, 4000, seed=4) - 2
    truth, error = log_mean_exp(log_weights), jackknife_standard_error(log_weights)
    covered = (truth.abs() < 1.96 * error).double().mean().item()
    assert covered == pytest.approx(0.89, abs=4 * math.sqrt(0.89 * 0.11 / 4000))
    assert error.square().mean().sqrt().item() == pytest.approx(truth.std().item(), rel=0.06)


def test_jackknife_is_right_on_repeats_and_where_one_weight_dominates():
    repeats = 0.5 * normal(20, 4000, seed=1)
    spread = log_mean_exp(repeats).std()
    assert jackknife_standard_error(repeats).mean().item() == pytest.approx(spread.item(), rel=0.05)
    # The largest weight is all of the sum to rounding; taken out, the next is still there.
    error = jackknife_standard_error(column(0.0, -50.0, -50.0))
    left = [-50.0, -math.log(2), -math.log(2)]
    mean = sum(left) / 3
    assert error.item() == pytest.approx((2 / 3 * sum((v - mean) ** 2 for v in left)) ** 0.5)
    assert jackknife_standard_error(column(0.0, -INF)).item() == INF
    assert jackknife_standard_error(column(0.0)).isnan().all()


@pytest.mark.parametrize("shape", [(3,), (0, 3), (2, 3, 4)])
def test_errors(shape):
    with pytest.raises(ValueError, match=r"must be \[S, B\] with S at least 1"):
        LogWeightStatistics.of(torch.zeros(shape))
