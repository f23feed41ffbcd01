"""The NLL of all test images, from estimators of which the expensive ones see few images."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from iafsweep.api.scoring.score import score
from iafsweep.config import load_config
from iafsweep.data_root import default_data_root
from iafsweep.records import shown_figures
from iafsweep.run_files.run_folder import RunFolder

SCORED = (
    "evaluation.bound_images=10000",
    "evaluation.importance_sampling.images=500",
    "evaluation.hais.enabled=true",
    "evaluation.hais.start=posterior",
    "evaluation.hais.temperatures=160",
    "evaluation.hais.images=100",
)
"""How a run is scored: the bound on all test images, the others on the first of them."""
SCORED_QUICK = (
    "evaluation.bound_images=20",
    "evaluation.importance_sampling.images=20",
    "evaluation.importance_sampling.samples=20",
    "evaluation.hais.enabled=true",
    "evaluation.hais.images=20",
    "evaluation.hais.temperatures=3",
)
"""How a miniature is scored."""


class Figures(NamedTuple):
    """log p(x) of test images in nats, by image and bits; missing where a method was not asked.

    Attributes:
        bound: the ELBO of one sample; of every image.
        sampled: by importance sampling.
        annealed: by HAIS.
    """

    bound: pd.Series
    sampled: pd.Series
    annealed: pd.Series

    @classmethod
    def of(cls, folder: RunFolder) -> Figures:
        """Take the figures of a run that has been scored."""
        table = pd.read_parquet(folder.per_image)
        table = table[table["split"] == "test"]
        bound, *others = (
            table[table["method"] == method].set_index(["binarisation_seed", "image"])["log_likelihood"]
            for method in ("negative_elbo", "importance_sampling", "hais")
        )
        return cls(bound, *(each.reindex(bound.index) for each in others))

    def __str__(self) -> str:
        nll, error = self.nll()
        return f"{nll:.2f} ± {error:.2f}"

    def __sub__(self, other: Figures) -> Figures:
        """Paired differences."""
        return Figures(*(mine - its for mine, its in zip(self, other, strict=True)))

    def parts(self) -> tuple[pd.Series, pd.Series, pd.Series]:
        """The bound, what IS has less than it, and what HAIS has less than IS, as NLLs."""
        return -self.bound, (self.bound - self.sampled).dropna(), (self.sampled - self.annealed).dropna()

    def nll(self) -> tuple[float, float]:
        """NLL of all images and its standard error: the means of the three parts, added as if independent.

        A difference of two estimators varies far less from image to image than either of them: the cheap estimator is a
        control variate of the expensive one. So the mean over all images is known almost as well as if the expensive
        estimator had seen them all.
        """
        parts = self.parts()
        return sum(float(part.mean()) for part in parts), math.hypot(*(standard_error(part) for part in parts))


def standard_error(values: pd.Series) -> float:
    """Of the mean of some values."""
    return float(values.std()) / math.sqrt(len(values))


def scored_once(folder: RunFolder, *, quick: bool) -> None:
    """Score a run on test images, unless it has been scored."""
    if not folder.evaluation.exists():
        settings = SCORED_QUICK if quick else SCORED
        score(load_config(str(folder.config), settings), folder, default_data_root(), device="cpu", threads=1)


def untrusted(folder: RunFolder) -> str:
    """The shares of test images that IS and HAIS do not trust."""
    shown = shown_figures(folder.read_evaluation().estimates)
    shares = (shown[method, "test"].untrusted_share or 0.0 for method in ("importance_sampling", "hais"))
    return " / ".join(f"{share:.0%}" for share in shares)
