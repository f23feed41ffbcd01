"""Figures of any point of a space, from those of some."""

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
"""So many points at most decide how far each coordinate reaches; all are used then."""


class Regression(Protocol):
    """What tells figures of any point from those of some."""

    def predict(self, points: Matrix) -> Matrix:
        """Return the figures of points, [N, E]."""

    def without(self, held_out: NDArray[np.bool_]) -> Regression:
        """Return the same, as if some of its points had not been known."""


Regress = Callable[[Matrix, Matrix], Regression]
"""Fits to points in [0, 1], [N, D], and their figures, [N, E]."""


@dataclass(frozen=True)
class GaussianProcess:
    """A Gaussian process with its lengths found, for several figures at once.

    ``mean`` is that of each figure, [E], and ``weights`` are (K + s I)^-1 (y - mean), [N, E].
    """

    kernel: Kernel
    nugget: float
    points: Matrix
    figures: Matrix
    mean: Point
    weights: Matrix

    @classmethod
    def fit(cls, points: Matrix, figures: Matrix) -> GaussianProcess:
        """Return the process of points in [0, 1], [N, D], whose lengths are the likeliest for the last figure."""
        few = np.random.default_rng(0).permutation(len(points))[:_FITTED]
        last = figures[few, -1]
        spread = float(last.std()) or 1.0
        lengths = np.ones(points.shape[1])
        kernel = ConstantKernel(1.0) * Matern(lengths, (0.1, 30.0), nu=2.5) + WhiteKernel(0.05, (1e-4, 1.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its end: that coordinate says nothing
            fitted = GaussianProcessRegressor(kernel, random_state=0).fit(points[few], (last - last.mean()) / spread)
        smooth, noise = fitted.kernel_.k1, fitted.kernel_.k2
        return cls(smooth, noise.noise_level, points, figures, *_solved(smooth, noise.noise_level, points, figures))

    def without(self, held_out: NDArray[np.bool_]) -> GaussianProcess:
        """Return it with the same lengths and fewer points."""
        points, figures = self.points[~held_out], self.figures[~held_out]
        mean, weights = _solved(self.kernel, self.nugget, points, figures)
        return replace(self, points=points, figures=figures, mean=mean, weights=weights)

    def predict(self, points: Matrix) -> Matrix:
        """Return the figures of points, [N, E]."""
        return np.asarray(self.mean + self.kernel(points, self.points) @ self.weights)


def _solved(kernel: Kernel, nugget: float, points: Matrix, figures: Matrix) -> tuple[Point, Matrix]:
    mean = figures.mean(0)
    return mean, np.linalg.solve(kernel(points) + nugget * np.eye(len(points)), figures - mean)
