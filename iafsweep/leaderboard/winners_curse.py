"""The winner's curse: the best of many bounds was chosen for being low, and so is expected to be too low."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iafsweep.records import LeaderboardRow, WinnersCurse
from iafsweep.texts import counted

_Vector = NDArray[np.float64]

_REACH = 10
"""Configurations so many standard deviations of a seed above the best play no part: none of them is the best."""

_CELLS = 8
"""Points of the grid a standard deviation of a seed."""

_STEPS = 1000
"""Of EM; a sweep takes 10 ms."""

_TIES = (np.arange(4) + 0.5) / 4
"""Where within its cell of the grid a mean lies when means of the same cell are told apart: anywhere."""

_CONFIDENCE = 0.9

_NAMED = 3
"""Trials that are named in a sentence."""

_WORTH_NAMING = 0.01
"""Probability from which on a trial is named."""


@dataclass(frozen=True)
class _Configuration:
    """Trials with the same parameters: the names of their rows, and their bounds by seed, which several may share."""

    trials: tuple[str, ...]
    own: dict[int | str, float]
    retrained: dict[int, float]

    @property
    def all(self) -> list[float]:
        return list((self.own | self.retrained).values())

    @property
    def unselected(self) -> list[float]:
        """Bounds whose spread is that of seeds: a single trial's own was chosen, or left, for what it is."""
        return self.all if len(self.own) > 1 else list(self.retrained.values())


def winners_curse(rows: Iterable[LeaderboardRow]) -> WinnersCurse | None:
    """Return by how much the best of the bounds is too good, and which trial may truly be the best.

    The model: configuration i has the mean ``mu_i`` over training seeds, and the mean ``y_i`` of its ``n_i`` bounds is
    ``y_i ~ N(mu_i, s^2 / n_i)``. ``s`` is the pooled standard deviation within configurations of bounds that nobody
    chose, those of retrainings and of a list's repeats: ``s^2 = sum (y - mean)^2 / sum (m - 1)`` over all with m of
    them, and the latter sum is its degrees of freedom. The ``mu_i`` are draws from a prior g, of which no shape is
    assumed: it is the nonparametric maximum likelihood estimate from the bounds themselves (Kiefer and Wolfowitz 1956,
    Ann. Math. Stat. 27; by EM, Laird 1978, JASA 73, on a grid of s / 8; on how well it shrinks: Jiang and Zhang 2009,
    Ann. Stat. 37). A normal prior would be so wide, for bad configurations 20 nats off, that it shrinks nothing.

    Given g, what is expected of one more seed is the posterior mean of ``mu_i``, and the probability that ``mu_i`` is
    the lowest of all is a sum over the grid. That the lowest bound was chosen does not change a posterior (Dawid 1994,
    "Selection paradoxes of Bayesian inference"), so that no further correction is due.

    In simulations (tests/leaderboard/test_winners_curse.py) what is expected of the best is right to 0.2 s on average
    where configurations differ by more than s, and up to 0.4 s too low where they hardly differ at all. It is of the
    same validation images and of the best epoch: what choosing among epochs, or these images, adds is in every seed.

    Args:
        rows: completed trials with a bound, the best first; those with equal parameters are one configuration.

    Returns:
        None with fewer than two configurations, or where none has bounds of two seeds.
    """
    found = _configurations(rows)
    squares, freedom = _within(found)
    if len(found) < 2 or not freedom:  # noqa: PLR2004 - of one, none was chosen
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
    """Return in words by how much the best of ranked trials is too good, or that it is not known.

    Nothing is said of fewer than two configurations.
    """
    completed = [row for row in rows if row.rank is not None]
    if len(_configurations(completed)) < 2:  # noqa: PLR2004 - of one, none was chosen
        return ""
    if (found := winners_curse(completed)) is None:
        return (
            f"The best of {len(completed):,} bounds is partly luck (the winner's curse); by how much is not known, "
            "since nothing was trained with two seeds."
        )
    off, likeliest = found.regression, sorted(found.probabilities, key=lambda name: -found.probabilities[name])
    named = [f"{name} with {_chance(found.probabilities[name])}" for name in likeliest[:_NAMED]
             if found.probabilities[name] >= _WORTH_NAMING or name == likeliest[0]]  # fmt: skip
    said = [
        f"The best of {len(completed):,} bounds is partly luck (the winner's curse): with another seed {found.trial} "
        f"is expected at {found.expected[found.trial]:.2f}, {abs(off):.2f} nats {'higher' if off >= 0 else 'lower'}. "
        f"Seeds of one configuration differ by ± {found.seed_deviation:.2f} "
        f"({counted(found.degrees_of_freedom, 'degree')} of freedom).",
        f"Which is truly the best: {', '.join(named)}.",
    ]
    if found.probabilities[likeliest[0]] < _CONFIDENCE:
        said.append(f"The first {found.top} hold it with {_CONFIDENCE:.0%} or more.")
    if found.means:
        means = sorted(found.means, key=lambda name: found.means[name])[:_NAMED]
        told = ", ".join(f"{name} {found.means[name]:.2f} ({found.seeds[name]} seeds)" for name in means)
        said.append(f"Means over seeds, the best first: {told}.")
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
    """Return posterior means, and the probability of each configuration to be the best, [N].

    Those that are far above the best stay as they are, and are not it.

    Args:
        means: over the seeds of each configuration, [N].
        seeds: how many those are, [N].
        deviation: of one seed, s.
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
    """Density of each mean given each point of the grid, up to a factor of its own, [N, G]."""
    return np.exp(-0.5 * seeds[:, None] * (z[:, None] - grid) ** 2)


def _prior(z: _Vector, seeds: NDArray[np.int64], grid: _Vector) -> _Vector:
    """The distribution on the grid under which the means are likeliest, by EM from the uniform one, [G]."""
    cells = np.stack([np.round(z * 2 * _CELLS), seeds])  # means so near each other are one: thousands cost no more
    (places, counts), bounds = np.unique(cells, axis=1, return_counts=True)
    likelihood, weights = _likelihood(places / (2 * _CELLS), counts, grid), bounds / len(z)
    prior = np.full(len(grid), 1 / len(grid))
    for _ in range(_STEPS):
        prior = prior * (likelihood.T @ (weights / (likelihood @ prior)))
    return prior


def _lowest(shares: _Vector) -> _Vector:
    """Probability that each of independent variables on the grid, of densities [N, G], is the lowest; ties are even."""
    above = 1 - shares.cumsum(1)
    found = np.zeros(len(shares))
    for within in _TIES:
        logs = np.log(np.maximum(above + (1 - within) * shares, 1e-300))
        found += (shares * np.exp(logs.sum(0) - logs)).sum(1)
    result: _Vector = found / found.sum()
    return result
