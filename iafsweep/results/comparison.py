"""Two models compared image by image, from their tables of figures of each image."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch

from iafsweep.estimators.standard_errors import paired_difference
from iafsweep.records import Method, PairedDifference, Split

_KEYS = ["method", "split", "settings", "binarisation_seed", "image"]


@dataclass(frozen=True)
class LeftOut:
    """Two figures that are not compared: of one method and split, but made with different settings.

    Attributes:
        method: how both were scored.
        split: which images.
        first: whose figure one is.
        second: whose the other is.
        first_settings: what the one was made with.
        second_settings: what the other was made with.
    """

    method: Method
    split: Split
    first: str
    second: str
    first_settings: str
    second_settings: str


@dataclass(frozen=True)
class Comparison:
    """Two models beside each other.

    Attributes:
        differences: one a method and split that both were scored by with the same settings.
        left_out: one a method and split that both were scored by, but not with the same settings.
    """

    differences: tuple[PairedDifference, ...]
    left_out: tuple[LeftOut, ...]


def compare_images(first: pd.DataFrame, second: pd.DataFrame, first_name: str, second_name: str) -> Comparison:
    """Return the paired difference in mean NLL for each method and split that both were scored by.

    Pairs are of the same image with the same bits, by the same method with the same settings: estimators of different
    effort have different bias, and a difference of theirs says nothing about the models. An image's difference is its
    mean over binarisations. The seed of the estimator's noise may differ: it moves no figure but by its error.

    Args:
        first: a table as `per_image_table` makes it.
        second: another.
        first_name: whose table it is.
        second_name: likewise.
    """
    columns = [*_KEYS, "log_likelihood"]
    both = first[columns].merge(second[columns], on=_KEYS, suffixes=("_first", "_second"))
    found = []
    for (method, split, settings), part in both.groupby(["method", "split", "settings"], sort=True):
        of_image = part.groupby("image")[["log_likelihood_first", "log_likelihood_second"]].mean()
        first_nll, second_nll = (
            -torch.from_numpy(of_image[f"log_likelihood_{side}"].to_numpy(copy=True)) for side in ("first", "second")
        )
        difference = paired_difference(first_nll, second_nll)
        found.append(
            PairedDifference(
                method=method,
                split=split,
                settings=settings,
                images=difference.images,
                first=first_name,
                second=second_name,
                difference=difference.value,
                standard_error=difference.standard_error,
            )
        )
    one, other = _settings(first), _settings(second)
    left_out = tuple(
        LeftOut(method, split, first_name, second_name, ", ".join(one[method, split]), ", ".join(other[method, split]))
        for method, split in sorted(one.keys() & other.keys())
        if not set(one[method, split]) & set(other[method, split])
    )
    return Comparison(tuple(found), left_out)


def _settings(table: pd.DataFrame) -> dict[tuple[Method, Split], list[str]]:
    """What the figures of each method and split were made with."""
    return {
        (method, split): sorted(settings.unique())
        for (method, split), settings in table.groupby(["method", "split"])["settings"]
    }
