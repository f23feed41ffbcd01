"""Compare two models image by image, from their tables of per-image figures."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from iafsweep.records import Method, PairedDifference, Split

_KEYS = ["method", "split", "settings", "binarisation_seed", "image"]


@dataclass(frozen=True)
class LeftOut:
    """Two figures of the same method and split that are not compared, because their settings differ."""

    method: Method
    split: Split
    first: str
    second: str
    first_settings: str
    second_settings: str


@dataclass(frozen=True)
class Comparison:
    """Two models compared.

    For each method and split that both models were scored by, ``differences`` has an entry for each of the settings
    that they share; if they share none, ``left_out`` has one entry.
    """

    differences: tuple[PairedDifference, ...]
    left_out: tuple[LeftOut, ...]


def compare_images(first: pd.DataFrame, second: pd.DataFrame, first_name: str, second_name: str) -> Comparison:
    """Return the paired difference in mean NLL for each method and split that both were scored by.

    Pairs share the image and its bits, the method and its settings: estimators of different effort have different bias,
    so that their difference says nothing about the models. An image's difference is its mean over binarisations. The
    seed of the estimator's noise may differ, since it changes figures only within the estimator's error. ``first`` and
    ``second`` are tables as `per_image_table` makes them.
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
    """Return a difference that records which of its models have an autoregressive decoder, given their names."""
    names = {"first": difference.first, "second": difference.second}
    return difference.model_copy(
        update={f"{each}_autoregressive": name in autoregressive for each, name in names.items()}
    )


def _settings(table: pd.DataFrame) -> dict[tuple[Method, Split], list[str]]:
    return {
        (method, split): sorted(settings.unique())
        for (method, split), settings in table.groupby(["method", "split"])["settings"]
    }
