"""Regression by randomised trees: a surrogate that differs in kind from the Gaussian process of the sampler `gp`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor

from iafsweep.rehearsal.regression import Matrix


@dataclass(frozen=True)
class Trees:
    """Extremely randomised trees (Geurts et al. 2006), averaged."""

    points: Matrix
    figures: Matrix
    forest: ExtraTreesRegressor

    @classmethod
    def fit(cls, points: Matrix, figures: Matrix) -> Trees:
        """Return the trees of points, [N, D], and their figures, [N, E]."""
        several = figures if figures.shape[1] > 1 else figures[:, 0]  # it warns of a column
        return cls(points, figures, ExtraTreesRegressor(100, random_state=0).fit(points, several))

    def without(self, held_out: NDArray[np.bool_]) -> Trees:
        """Return the trees of fewer points."""
        return self.fit(self.points[~held_out], self.figures[~held_out])

    def predict(self, points: Matrix) -> Matrix:
        """Return the figures of points, [N, E]."""
        return np.asarray(self.forest.predict(points)).reshape(len(points), -1)
