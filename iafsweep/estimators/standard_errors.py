"""Figures of a set of images, from figures of each image. Nats per image; N images."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mean(NamedTuple):
    """A mean over images.

    Attributes:
        value: the mean.
        standard_error: its standard error, the images being the sample; NaN for one image.
        images: how many.
    """

    value: float
    standard_error: float
    images: int


def mean_over_images(values: Tensor) -> Mean:
    """Mean of a figure of each image and its standard error over images.

    Args:
        values: [N].

    Raises:
        ValueError: `values` is not a vector of at least one.
    """
    values = _vector(values)
    images = len(values)
    error = float(values.std()) / math.sqrt(images) if images > 1 else math.nan
    return Mean(float(values.mean()), error, images)


def paired_difference(first: Tensor, second: Tensor) -> Mean:
    """Mean of first - second, image by image, with its standard error.

    Two trials scored on the same images differ by far less than the images among themselves: the pairs say how much.

    Args:
        first: [N].
        second: [N], of the same images in the same order.

    Raises:
        ValueError: the two are not vectors of the same length.
    """
    first, second = _vector(first), _vector(second)
    if len(first) != len(second):
        raise ValueError(f"paired figures must be of the same images: got {len(first)} and {len(second)}.")
    return mean_over_images(first - second)


def estimator_error(standard_errors: Tensor) -> float:
    """Standard error of the mean over images from the estimator's own randomness: sqrt(sum of squares) / N.

    The noise of one image is independent of that of the others.

    Args:
        standard_errors: of each image's own estimate, [N].

    Raises:
        ValueError: `standard_errors` is not a vector of at least one.
    """
    standard_errors = _vector(standard_errors)
    return float(standard_errors.square().sum().sqrt()) / len(standard_errors)


def untrusted_share(untrusted: Tensor) -> float:
    """Share of images marked untrusted, from marks [N].

    Raises:
        ValueError: `untrusted` is not a vector of at least one.
    """
    return float(_vector(untrusted).mean())


def _vector(values: Tensor) -> Tensor:
    if values.dim() != 1 or len(values) < 1:
        raise ValueError(f"figures of images must be a vector of at least one: got shape {tuple(values.shape)}.")
    return values.to(torch.float64)
