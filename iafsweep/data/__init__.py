"""Data: images as uint8 tensors, fixed splits, binarisation.

``splits`` the entry point · ``source`` the interface of named sets; ``mnist_mini``, ``idx_sets``, ``static_mnist``,
``matlab_sets``, ``cifar10`` the sets themselves · ``idx`` the file format of MNIST · ``images`` your own images,
``reading`` from a path, ``pictures`` from PNG, JPEG and PGM · ``binarisation`` what the model sees of an image ·
``fingerprint`` checksums that identify images.
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
