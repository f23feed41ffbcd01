"""Data: images as uint8 tensors, fixed splits, the binarisation rule.

``splits`` the way in · ``mnist``, ``mnist_mini`` a module a source · ``idx`` their file format ·
``binarisation`` bits, or the levels themselves · ``fingerprint`` which images they are.
"""

from iafsweep.data.binarisation import binarise, fixed_binarisation, seen, seen_in_training
from iafsweep.data.splits import (
    Source,
    TrainingImages,
    load_test_images,
    load_training_images,
)

__all__ = [
    "Source",
    "TrainingImages",
    "binarise",
    "fixed_binarisation",
    "load_test_images",
    "load_training_images",
    "seen",
    "seen_in_training",
]
