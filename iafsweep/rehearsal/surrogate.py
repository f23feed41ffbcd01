"""A surrogate that predicts the learning curve of any configuration of a space from recorded curves."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from scipy.stats import spearmanr

from iafsweep.rehearsal.curves import Curve
from iafsweep.rehearsal.features import Features, Point
from iafsweep.rehearsal.regression import GaussianProcess, Matrix, Regress
from iafsweep.search_space.distributions import Scalar
from iafsweep.search_space.sampling import RandomSuggest
from iafsweep.search_space.space import SearchSpace

ASSUMED_NOISE = 0.3
"""Standard deviation over seeds, nats per image, if no configuration was recorded with several: two seeds of one then
differ by about 0.4 nats."""

_FOLDS = 10
_NEIGHBOURS = 5
_CAPPED = 2.0
"""Cap on a bound's distance from the floor, as a multiple of the median distance in its epoch. By how many powers of
ten a training blew up says nothing about the good ones, and a process that has to fit it misses these."""
_DRAWN = 4000


@dataclass(frozen=True)
class Error:
    """The surrogate's error in ten-fold cross-validation over configurations.

    Attributes:
        bound: root mean square error of the last bound over the better half of configurations, nats per image.
        rank: Spearman's rank correlation of predicted and recorded last bounds, over all configurations.
        seconds: root mean square of the relative error of seconds.
        noise: standard deviation over seeds at the best bounds, nats per image; no surrogate is closer than that.
        noise_measured: whether ``noise`` was measured; else it is assumed.
    """

    bound: float
    rank: float
    seconds: float
    noise: float
    noise_measured: bool


class Surrogate:
    """Predicts the learning curves of a space by interpolating recorded ones.

    Bounds b are regressed as log(b - a), with a below the best bound and b - a capped at twice its median, so that very
    bad bounds count for little. The regression is a Gaussian process (Matérn 5/2, one length scale per coordinate of
    :class:`Features`), fitted to the last epoch and used for all epochs: a curve is a combination of recorded curves.
    The logarithm of seconds is regressed likewise. A stopped curve continues as those near it at that epoch did. If the
    nearest recorded configuration of the same branch diverged or ran out of memory, so does a configuration, in the
    same epoch.

    Noise between seeds is drawn from the differences, in nats, between seeds of the same configuration, over the better
    half of those recorded with several.

    Args:
        space: the space whose configurations are predicted.
        curves: recorded curves, at least one of them completed.
        regress: fits a regression, by default the Gaussian process, to points in [0, 1], [N, D], and figures, [N, E].
    """

    def __init__(self, space: SearchSpace, curves: Sequence[Curve], regress: Regress = GaussianProcess.fit) -> None:
        self._features = Features(space)
        self._branches = self._by_branch(curves)
        known = [curve for curve in curves if curve.status in ("completed", "stopped") and curve.bounds]
        self._epochs = max(len(curve.bounds) for curve in known if curve.status == "completed")
        self._known = known
        last = np.array([curve.bounds[-1] for curve in known if curve.status == "completed"])
        self._floor = float(last.min() - max(np.median(last) - last.min(), 1.0))
        self._bounds = self._whole_curves()
        self._points = np.array([self._features.point(curve.values) for curve in known])
        self._paces = np.log(np.array([max(fmean(curve.seconds), 1e-6) for curve in known]))
        self._regressions = [regress(self._points, figures) for figures in (self._bounds, self._paces[:, None])]
        measured = self._seed_noise()
        self._noise = np.full((1, self._epochs), ASSUMED_NOISE) if measured is None else measured
        self._noise_measured = measured is not None
        self.error = self._held_out_error()

    @property
    def epochs(self) -> int:
        """Epochs of a complete training."""
        return self._epochs

    def bounds(self, values: Sequence[Mapping[str, Scalar]]) -> Matrix:
        """Return the curves of configurations, averaged over seeds, [N, epochs]."""
        points = np.array([self._features.point(each) for each in values])
        return self._floor + np.exp(self._regressions[0].predict(points))

    def training(self, values: Mapping[str, Scalar], seed: int) -> Curve:
        """Return the curve of training a configuration with a seed."""
        generator = np.random.default_rng(seed)
        point = self._features.point(values)[None]
        noise = self._noise[generator.integers(len(self._noise))] * generator.standard_normal()
        bounds = self._floor + np.exp(self._regressions[0].predict(point)[0]) + noise
        pace = float(np.exp(self._regressions[1].predict(point)[0, 0]))
        curve = Curve(values, tuple(bounds.tolist()), (pace,) * self._epochs, "completed")
        if (bad := self._bad_neighbour(values)) is None:
            return curve
        epochs = min(len(bad.bounds), self._epochs - 1)
        return replace(curve, bounds=curve.bounds[:epochs], seconds=curve.seconds[: epochs + 1], status=bad.status)

    def best(self, space: SearchSpace) -> float:
        """Return the lowest bound of any epoch, averaged over seeds, of many random and all recorded configurations.

        It may lie below :attr:`lowest_recorded`: then no recorded training has reached it.
        """
        return float(self.bounds(self.ranked(space)[:1]).min())

    def ranked(self, space: SearchSpace) -> list[Mapping[str, Scalar]]:
        """Return many random and all recorded configurations, those with the lowest bound of any epoch first."""
        generator = random.Random(0)
        drawn = [space.suggest(RandomSuggest(generator)) for _ in range(_DRAWN)]
        good = [values for values in drawn if self._bad_neighbour(values) is None]
        all_of_them = [*good, *(curve.values for curve in self._known)]
        return [all_of_them[place] for place in np.argsort(self.bounds(all_of_them).min(1), kind="stable")]

    @property
    def lowest_recorded(self) -> float:
        """The lowest recorded bound of any epoch, of one seed."""
        return min(min(curve.bounds) for curve in self._known)

    def _bad_neighbour(self, values: Mapping[str, Scalar]) -> Curve | None:
        """Return the nearest recorded configuration of the same branch if it ended badly, else None."""
        if (branch := self._branches.get(self._features.branch(values))) is None:
            return None
        points, ends = branch
        nearest = ends[int(np.abs(points - self._features.point(values)).sum(1).argmin())]
        return None if nearest.status in ("completed", "stopped") else nearest

    def _by_branch(self, curves: Sequence[Curve]) -> dict[frozenset[str], tuple[Matrix, list[Curve]]]:
        """Return the points and recorded curves of each branch in which any curve ended badly."""
        found: dict[frozenset[str], list[Curve]] = {}
        for curve in curves:
            found.setdefault(self._features.branch(curve.values), []).append(curve)
        return {
            branch: (np.array([self._features.point(curve.values) for curve in own]), own)
            for branch, own in found.items()
            if any(curve.status not in ("completed", "stopped") for curve in own)
        }

    def _whole_curves(self) -> Matrix:
        """Return the recorded bounds, transformed, [N, epochs], with stopped curves continued."""
        rows = np.full((len(self._known), self._epochs), np.nan)
        for row, curve in zip(rows, self._known, strict=True):
            row[: len(curve.bounds)] = np.log(np.maximum(np.array(curve.bounds) - self._floor, 1e-3))
        whole = rows[~np.isnan(rows[:, -1])]
        for row in rows:
            if np.isnan(row[-1]):
                reached = int(np.isnan(row).argmax())
                near = np.argsort(np.abs(whole[:, reached - 1] - row[reached - 1]))[:_NEIGHBOURS]
                row[reached:] = row[reached - 1] + (whole[near, reached:] - whole[near, reached - 1, None]).mean(0)
        return np.asarray(np.minimum(rows, np.median(rows, axis=0) + math.log(_CAPPED)))

    def _seed_noise(self) -> Matrix | None:
        """Return the noise between seeds in nats, [P, epochs], or None if no configuration was trained twice.

        A row times a standard normal number is the noise of one seed.
        """
        seeds: dict[tuple[tuple[str, Scalar], ...], list[Point]] = {}
        for curve in self._known:
            if curve.status == "completed":
                seeds.setdefault(tuple(sorted(curve.values.items())), []).append(np.array(curve.bounds))
        pairs = [(one, other) for one, *others in seeds.values() for other in others]
        if not pairs:
            return None
        better = sorted(pairs, key=lambda pair: float(pair[0][-1] + pair[1][-1]))[: (len(pairs) + 1) // 2]
        return np.array([(one - other) / np.sqrt(2) for one, other in better])

    def _held_out_error(self) -> Error:
        whole = [index for index, curve in enumerate(self._known) if curve.status == "completed"]
        folds = {key: place % _FOLDS for place, key in enumerate(sorted({str(self._known[i].values) for i in whole}))}
        of = np.array([folds.get(str(curve.values), -1) for curve in self._known])
        found = [np.empty_like(self._bounds), np.empty_like(self._paces)[:, None]]
        for fold in range(_FOLDS):
            for regression, held_out in zip(self._regressions, found, strict=True):
                held_out[of == fold] = regression.without(of == fold).predict(self._points[of == fold])
        recorded, predicted = (self._floor + np.exp(y[whole, -1]) for y in (self._bounds, found[0]))
        better = recorded <= np.median(recorded)
        return Error(
            bound=_root_mean_square((predicted - recorded)[better]),
            rank=float(spearmanr(predicted, recorded).statistic),
            seconds=_root_mean_square(np.expm1(found[1][whole, 0] - self._paces[whole])),
            noise=_root_mean_square(self._noise[:, -1]),
            noise_measured=self._noise_measured,
        )


def _root_mean_square(errors: Matrix) -> float:
    return float(np.sqrt(np.mean(errors**2)))
