"""The winner's curse: the best of many bounds was chosen because it is low, so it is expected to be too low."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iafsweep.records import LeaderboardRow, WinnersCurse
from iafsweep.texts import counted

_Vector = NDArray[np.float64]

_REACH = 10
"""Configurations further above the best, in standard deviations of a seed, are ignored: none can be the best."""

_CELLS = 8
"""Grid points per standard deviation of a seed."""

_STEPS = 1000
"""Steps of EM, which take 10 ms for a sweep."""

_TIES = (np.arange(4) + 0.5) / 4
"""Positions within a grid cell that are averaged over to break ties between means of the same cell."""

_CONFIDENCE = 0.9

_NAMED = 3
"""Most trials named in a sentence."""

_WORTH_NAMING = 0.01
"""Smallest probability at which a trial is named."""


@dataclass(frozen=True)
class _Configuration:
    """Trials with the same parameters: the names of their rows, and their bounds by seed; trials may share a seed."""

    trials: tuple[str, ...]
    own: dict[int | str, float]
    retrained: dict[int, float]

    @property
    def all(self) -> list[float]:
        return list((self.own | self.retrained).values())

    @property
    def unselected(self) -> list[float]:
        """Bounds whose spread is that of seeds alone; a single trial's own bound is left out, since it was selected."""
        return self.all if len(self.own) > 1 else list(self.retrained.values())


def winners_curse(rows: Iterable[LeaderboardRow]) -> WinnersCurse | None:
    """Return by how much the best of the bounds is too good, and which trial may truly be the best.

    The model: configuration i has the mean ``mu_i`` over training seeds, and the mean ``y_i`` of its ``n_i`` bounds is
    ``y_i ~ N(mu_i, s^2 / n_i)``. ``s`` is the pooled standard deviation within configurations, over bounds that were
    not selected: those of retrainings and of a list's repeats. It is ``s^2 = sum (y - mean)^2 / sum (m - 1)`` over all
    configurations with m such bounds; the latter sum is its degrees of freedom. The ``mu_i`` are draws from a prior g
    of any shape, which is estimated from the bounds themselves by nonparametric maximum likelihood (Kiefer and
    Wolfowitz 1956, Ann. Math. Stat. 27; by EM, Laird 1978, JASA 73, on a grid of s / 8; on how well it shrinks: Jiang
    and Zhang 2009, Ann. Stat. 37). A normal prior would shrink nothing, since bad configurations 20 nats off widen it.

    Given g, the expected bound of one more seed is the posterior mean of ``mu_i``, and the probability that ``mu_i`` is
    the lowest of all is a sum over the grid. Selecting the lowest bound does not change a posterior (Dawid 1994,
    "Selection paradoxes of Bayesian inference"), so no further correction is needed.

    In simulations (tests/leaderboard/test_winners_curse.py) the expected bound of the best is right to 0.2 s on average
    where configurations differ by more than s, and up to 0.4 s too low where they hardly differ at all. It is for the
    same validation images and the best epoch: the effects of choosing the epoch and of these images are in every seed.

    Args:
        rows: completed trials with a bound, the best first; trials with equal parameters are one configuration.

    Returns:
        None with fewer than two configurations, or where none has bounds of two seeds.
    """
    found = _configurations(rows)
    squares, freedom = _within(found)
    if len(found) < 2 or not freedom:  # noqa: PLR2004 - with one there was no choice
        return None
    means = np.array([math.fsum(each.all) / len(each.all) for each in found])
    seeds = np.array([len(each.all) for each in found])
    deviation = math.sqrt(squares / freedom)
    expected, probability = _posterior(means, seeds, deviation)
    names = [each.trials[0] for each in found]
    several = {each.trials[0]: each.unselected for each in found if len(each.unselected) > 1}
    return WinnersCurse(
        trial=names[0],
        bound=min(found[0].own.values()),
        seed_deviation=deviation,
        degrees_of_freedom=freedom,
        expected=dict(zip(names, expected.tolist(), strict=True)),
        probabilities=dict(zip(names, probability.tolist(), strict=True)),
        means={name: math.fsum(values) / len(values) for name, values in several.items()},
        seeds={name: len(values) for name, values in several.items()},
        top=int(np.searchsorted(probability.cumsum(), _CONFIDENCE) + 1),
        confidence=_CONFIDENCE,
    )


def curse_note(rows: Sequence[LeaderboardRow]) -> str:
    """Return a note on by how much the best of ranked trials is too good, or that this is unknown.

    The note is empty for fewer than two configurations.
    """
    completed = [row for row in rows if row.rank is not None]
    if len(_configurations(completed)) < 2:  # noqa: PLR2004 - with one there was no choice
        return ""
    if (found := winners_curse(completed)) is None:
        return (
            f"The best of {len(completed):,} bounds is partly luck (the winner's curse). The size of the effect is "
            "unknown, because no configuration was trained with two seeds."
        )
    off, likeliest = found.regression, sorted(found.probabilities, key=lambda name: -found.probabilities[name])
    named = [f"{name} {_chance(found.probabilities[name])}" for name in likeliest[:_NAMED]
             if found.probabilities[name] >= _WORTH_NAMING or name == likeliest[0]]  # fmt: skip
    said = [
        f"The best of {len(completed):,} bounds is partly luck (the winner's curse): with another seed, {found.trial} "
        f"is expected to reach {found.expected[found.trial]:.2f}, {abs(off):.2f} nats "
        f"{'higher' if off >= 0 else 'lower'}. The standard deviation between seeds of one configuration is "
        f"{found.seed_deviation:.2f} nats ({counted(found.degrees_of_freedom, 'degree')} of freedom).",
        f"Probability of being truly the best: {', '.join(named)}.",
    ]
    if found.probabilities[likeliest[0]] < _CONFIDENCE:
        said.append(
            f"The first {found.top} by rank include the true best with a probability of at least {_CONFIDENCE:.0%}."
        )
    if found.means:
        means = sorted(found.means, key=lambda name: found.means[name])[:_NAMED]
        told = ", ".join(f"{name} {found.means[name]:.2f} ({found.seeds[name]} seeds)" for name in means)
        said.append(f"Means over seeds, best first: {told}.")
    return " ".join(said)


def _chance(probability: float) -> str:
    return "over 99%" if probability > 1 - _WORTH_NAMING else f"{probability:.0%}"


def _configurations(rows: Iterable[LeaderboardRow]) -> list[_Configuration]:
    found: dict[tuple[tuple[str, object], ...], _Configuration] = {}
    for row in rows:
        assert row.validation_negative_elbo is not None
        key = tuple(sorted(row.parameters.items()))
        before = found.get(key, _Configuration((), {}, {}))
        retrained = {} if row.retrained is None else row.retrained.bounds
        seed = row.trial if row.seed is None else row.seed
        own = before.own | {seed: row.validation_negative_elbo}
        found[key] = _Configuration((*before.trials, row.trial), own, before.retrained | retrained)
    return list(found.values())


def _within(found: Iterable[_Configuration]) -> tuple[float, int]:
    """Return the sum of squares around the configurations' means, and its degrees of freedom."""
    squares, freedom = 0.0, 0
    for values in (each.unselected for each in found):
        if len(values) > 1:
            mean = math.fsum(values) / len(values)
            squares += math.fsum((value - mean) ** 2 for value in values)
            freedom += len(values) - 1
    return squares, freedom


def _posterior(means: _Vector, seeds: NDArray[np.int64], deviation: float) -> tuple[_Vector, _Vector]:
    """Return posterior means, and the probability that each configuration is the best, [N].

    Configurations far above the best keep their mean and have probability 0.

    Args:
        means: mean over the seeds of each configuration, [N].
        seeds: number of those seeds, [N].
        deviation: standard deviation of one seed, s.
    """
    expected, probability = means.copy(), np.zeros(len(means))
    lowest = means.min()
    if deviation == 0:
        best = means == lowest
        probability[best] = 1 / best.sum()
        return expected, probability
    with np.errstate(over="ignore"):
        z = (means - lowest) / deviation
    near = z <= _REACH
    z, counts = z[near], seeds[near]
    grid = np.arange(0, z.max() + 1 / _CELLS, 1 / _CELLS)
    shares = _likelihood(z, counts, grid) * _prior(z, counts, grid)
    shares /= shares.sum(1, keepdims=True)
    expected[near] = lowest + deviation * (shares @ grid)
    probability[near] = _lowest(shares)
    return expected, probability


def _likelihood(z: _Vector, seeds: NDArray[np.int64], grid: _Vector) -> _Vector:
    """Return the density of each mean given each grid point, up to a factor per mean, [N, G]."""
    return np.exp(-0.5 * seeds[:, None] * (z[:, None] - grid) ** 2)


def _prior(z: _Vector, seeds: NDArray[np.int64], grid: _Vector) -> _Vector:
    """Return the distribution on the grid that maximises the likelihood of the means, by EM from uniform, [G]."""
    cells = np.stack([np.round(z * 2 * _CELLS), seeds])  # near means are merged, so thousands cost no more
    (places, counts), bounds = np.unique(cells, axis=1, return_counts=True)
    likelihood, weights = _likelihood(places / (2 * _CELLS), counts, grid), bounds / len(z)
    prior = np.full(len(grid), 1 / len(grid))
    for _ in range(_STEPS):
        prior = prior * (likelihood.T @ (weights / (likelihood @ prior)))
    return prior


def _lowest(shares: _Vector) -> _Vector:
    """Return for independent variables of densities [N, G] the probability that each is the lowest; ties are even."""
    above = 1 - shares.cumsum(1)
    found = np.zeros(len(shares))
    for within in _TIES:
        logs = np.log(np.maximum(above + (1 - within) * shares, 1e-300))
        found += (shares * np.exp(logs.sum(0) - logs)).sum(1)
    result: _Vector = found / found.sum()
    return result
