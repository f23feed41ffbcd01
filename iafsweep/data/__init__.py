"""Data: images as uint8 tensors, fixed splits, the binarisation rule.

``splits`` the way in · ``source`` what a set with a name offers; ``mnist_mini``, ``idx_sets``, ``static_mnist``,
``matlab_sets``, ``cifar10`` those there are · ``idx`` the format of MNIST · ``images`` one's own, ``reading`` from a
file, ``pictures`` from PNG and the like · ``binarisation`` bits, or the levels themselves · ``fingerprint`` which
images they are.
"""

from iafsweep.data.binarisation import binarise, fixed_binarisation, seen, seen_in_training
from iafsweep.data.images import Images
from iafsweep.data.source import Source
from iafsweep.data.splits import (
    TrainingImages,
    load_test_images,
    load_training_images,
    look,
)

__all__ = [
    "Images",
    "Source",
    "TrainingImages",
    "binarise",
    "fixed_binarisation",
    "load_test_images",
    "load_training_images",
    "look",
    "seen",
    "seen_in_training",
]
