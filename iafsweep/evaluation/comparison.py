"""Two models compared image by image, from their tables of figures of each image."""

from __future__ import annotations

import pandas as pd
import torch

from iafsweep.evaluation.diagnostics import paired_difference
from iafsweep.records import PairedDifference

_KEYS = ["method", "split", "binarisation_seed", "image"]


def compare_images(
    first: pd.DataFrame, second: pd.DataFrame, first_name: str, second_name: str
) -> list[PairedDifference]:
    """Return the paired difference in mean NLL for each method and split that both were scored by.

    Pairs are of the same image with the same bits; an image's difference is its mean over binarisations.

    Args:
        first: a table as `per_image_table` makes it.
        second: another.
        first_name: whose table it is.
        second_name: likewise.
    """
    columns = [*_KEYS, "log_likelihood"]
    both = first[columns].merge(second[columns], on=_KEYS, suffixes=("_first", "_second"))
    found = []
    for (method, split), part in both.groupby(["method", "split"], sort=True):
        of_image = part.groupby("image")[["log_likelihood_first", "log_likelihood_second"]].mean()
        first_nll, second_nll = (
            -torch.from_numpy(of_image[f"log_likelihood_{side}"].to_numpy(copy=True)) for side in ("first", "second")
        )
        difference = paired_difference(first_nll, second_nll)
        found.append(
            PairedDifference(
                method=method,
                split=split,
                images=difference.images,
                first=first_name,
                second=second_name,
                difference=difference.value,
                standard_error=difference.standard_error,
            )
        )
    return found
