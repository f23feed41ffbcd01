"""Regression of figures on the points of a space."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Kernel, Matern, WhiteKernel

from iafsweep.rehearsal.features import Point

Matrix = NDArray[np.float64]

_FITTED = 200
"""Most points used to fit the length scales; predictions use all points."""


class Regression(Protocol):
    """A fitted regression, which predicts the figures of any point."""

    def predict(self, points: Matrix) -> Matrix:
        """Return the figures of points, [N, E]."""

    def without(self, held_out: NDArray[np.bool_]) -> Regression:
        """Return the same regression without the points in ``held_out``."""


Regress = Callable[[Matrix, Matrix], Regression]
"""Fits a regression to points in [0, 1], [N, D], and their figures, [N, E]."""


@dataclass(frozen=True)
class GaussianProcess:
    """A Gaussian process with fitted length scales, for several figures at once.

    ``mean`` is the mean of each figure, [E], and ``weights`` are (K + s I)^-1 (y - mean), [N, E], with s the
    ``nugget``.
    """

    kernel: Kernel
    nugget: float
    points: Matrix
    figures: Matrix
    mean: Point
    weights: Matrix

    @classmethod
    def fit(cls, points: Matrix, figures: Matrix) -> GaussianProcess:
        """Fit to points in [0, 1], [N, D], with the length scales of maximum likelihood for the last figure."""
        few = np.random.default_rng(0).permutation(len(points))[:_FITTED]
        last = figures[few, -1]
        spread = float(last.std()) or 1.0
        lengths = np.ones(points.shape[1])
        kernel = ConstantKernel(1.0) * Matern(lengths, (0.1, 30.0), nu=2.5) + WhiteKernel(0.05, (1e-4, 1.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its limit: an irrelevant coordinate
            fitted = GaussianProcessRegressor(kernel, random_state=0).fit(points[few], (last - last.mean()) / spread)
        smooth, noise = fitted.kernel_.k1, fitted.kernel_.k2
        return cls(smooth, noise.noise_level, points, figures, *_solved(smooth, noise.noise_level, points, figures))

    def without(self, held_out: NDArray[np.bool_]) -> GaussianProcess:
        """Return the process with the same length scales, without the points in ``held_out``."""
        points, figures = self.points[~held_out], self.figures[~held_out]
        mean, weights = _solved(self.kernel, self.nugget, points, figures)
        return replace(self, points=points, figures=figures, mean=mean, weights=weights)

    def predict(self, points: Matrix) -> Matrix:
        """Return the figures of points, [N, E]."""
        return np.asarray(self.mean + self.kernel(points, self.points) @ self.weights)


def _solved(kernel: Kernel, nugget: float, points: Matrix, figures: Matrix) -> tuple[Point, Matrix]:
    mean = figures.mean(0)
    return mean, np.linalg.solve(kernel(points) + nugget * np.eye(len(points)), figures - mean)
