"""Two models compared image by image, from their tables of figures of each image."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from iafsweep.records import Method, PairedDifference, Split

_KEYS = ["method", "split", "settings", "binarisation_seed", "image"]


@dataclass(frozen=True)
class LeftOut:
    """Two figures that are not compared: of one method and split, but made with different settings."""

    method: Method
    split: Split
    first: str
    second: str
    first_settings: str
    second_settings: str


@dataclass(frozen=True)
class Comparison:
    """Two models beside each other.

    Both have one entry a method and split that both models were scored by: with the same settings, or not.
    """

    differences: tuple[PairedDifference, ...]
    left_out: tuple[LeftOut, ...]


def compare_images(first: pd.DataFrame, second: pd.DataFrame, first_name: str, second_name: str) -> Comparison:
    """Return the paired difference in mean NLL for each method and split that both were scored by.

    Pairs are of the same image with the same bits, by the same method with the same settings: estimators of different
    effort have different bias, and a difference of theirs says nothing about the models. An image's difference is its
    mean over binarisations. The seed of the estimator's noise may differ: it moves no figure but by its error.
    ``first`` and ``second`` are tables as `per_image_table` makes them.
    """
    columns = [*_KEYS, "log_likelihood"]
    both = first[columns].merge(second[columns], on=_KEYS, suffixes=("_first", "_second"))
    found = []
    for (method, split, settings), part in both.groupby(["method", "split", "settings"], sort=True):
        of_image = part.groupby("image")[["log_likelihood_first", "log_likelihood_second"]].mean()
        difference = of_image["log_likelihood_second"] - of_image["log_likelihood_first"]
        found.append(
            PairedDifference(
                method=method,
                split=split,
                settings=settings,
                images=len(difference),
                first=first_name,
                second=second_name,
                difference=float(difference.mean()),
                standard_error=float(difference.std()) / math.sqrt(len(difference)),  # NaN for one image
            )
        )
    one, other = _settings(first), _settings(second)
    left_out = tuple(
        LeftOut(method, split, first_name, second_name, ", ".join(one[method, split]), ", ".join(other[method, split]))
        for method, split in sorted(one.keys() & other.keys())
        if not set(one[method, split]) & set(other[method, split])
    )
    return Comparison(tuple(found), left_out)


def told_apart(difference: PairedDifference, autoregressive: Collection[str]) -> PairedDifference:
    """Return a difference that says which of its models have an autoregressive decoder, given the names of those."""
    names = {"first": difference.first, "second": difference.second}
    return difference.model_copy(
        update={f"{each}_autoregressive": name in autoregressive for each, name in names.items()}
    )


def _settings(table: pd.DataFrame) -> dict[tuple[Method, Split], list[str]]:
    return {
        (method, split): sorted(settings.unique())
        for (method, split), settings in table.groupby(["method", "split"])["settings"]
    }
