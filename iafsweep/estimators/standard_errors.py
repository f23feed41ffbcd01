"""Means over N images and their standard errors, from per-image figures, in nats."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mean(NamedTuple):
    """A mean over images.

    Attributes:
        value: the mean.
        standard_error: its standard error over images; NaN for one image.
        images: number of images.
    """

    value: float
    standard_error: float
    images: int


def mean_over_images(values: Tensor) -> Mean:
    """Mean of a per-image figure and its standard error over images.

    Args:
        values: [N].

    Raises:
        ValueError: `values` is not a vector, or is empty.
    """
    values = _vector(values)
    images = len(values)
    error = float(values.std()) / math.sqrt(images) if images > 1 else math.nan
    return Mean(float(values.mean()), error, images)


def paired_difference(first: Tensor, second: Tensor) -> Mean:
    """Mean of first - second over images, with its standard error.

    Two trials scored on the same images differ far less than the images differ from each other, so the paired
    difference has a much smaller error than either mean.

    Args:
        first: [N].
        second: [N], for the same images in the same order.

    Raises:
        ValueError: the two are not vectors of the same length.
    """
    first, second = _vector(first), _vector(second)
    if len(first) != len(second):
        raise ValueError(f"paired figures must cover the same images: got {len(first)} and {len(second)} images.")
    return mean_over_images(first - second)


def estimator_error(standard_errors: Tensor) -> float:
    """Standard error of the mean over images from the estimator's own randomness: sqrt(sum of squares) / N.

    The noise is independent between images.

    Args:
        standard_errors: standard error of each image's estimate, [N].

    Raises:
        ValueError: `standard_errors` is not a vector, or is empty.
    """
    standard_errors = _vector(standard_errors)
    return float(standard_errors.square().sum().sqrt()) / len(standard_errors)


def untrusted_share(untrusted: Tensor) -> float:
    """Share of untrusted images, from flags [N].

    Raises:
        ValueError: `untrusted` is not a vector, or is empty.
    """
    return float(_vector(untrusted).mean())


def _vector(values: Tensor) -> Tensor:
    if values.dim() != 1 or len(values) < 1:
        raise ValueError(f"per-image figures must be a vector of at least one value: got shape {tuple(values.shape)}.")
    return values.to(torch.float64)
