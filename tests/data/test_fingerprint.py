"""Fingerprints: equal for equal images alone, and a run that is used with others than its own is refused."""

from pathlib import Path

import pytest
import torch

from iafsweep.data import TrainingImages
from iafsweep.data.fingerprint import fingerprint, refuse_other_images
from iafsweep.errors import DataError

IMAGES = torch.arange(4 * 6, dtype=torch.uint8).view(4, 1, 2, 3)


def test_equal_for_equal_images_alone():
    whole = fingerprint(IMAGES)
    assert (whole.count, whole.shape) == (4, (1, 2, 3))
    assert fingerprint(IMAGES.clone()) == whole
    assert fingerprint(IMAGES.transpose(2, 3).contiguous().transpose(2, 3)) == whole  # whatever the strides are
    pixel = IMAGES.clone()
    pixel[3, 0, 1, 2] += 1
    others = [pixel, IMAGES.flip(0), IMAGES[:3], IMAGES.view(4, 1, 3, 2), IMAGES[:0]]
    assert len({str(fingerprint(each)) for each in others} | {str(whole)}) == 6


def test_made_once_for_all_who_ask():
    images = TrainingImages(IMAGES, IMAGES[:0])
    assert images.fingerprints is images.fingerprints
    assert [len(each) for each in images] == [4, 0]


def test_refused_by_name_with_both_and_the_way_out():
    here, other = fingerprint(IMAGES), fingerprint(IMAGES.flip(0))
    refuse_other_images(Path("runs/a"), {}, {"train": here})  # of an earlier version
    refuse_other_images(Path("runs/a"), {"train": here, "test": other}, {"train": here})
    message = (
        f"runs/a was validated on different images: on 4 images of 1x2x3, checksum {other.checksum[:8]}; found "
        f"4 images of 1x2x3, checksum {here.checksum[:8]}. Continue or score it with the images that it was "
        f"validated on"
    )
    with pytest.raises(DataError) as error:
        refuse_other_images(Path("runs/a"), {"train": here, "validation": other}, {"train": here, "validation": here})
    assert str(error.value).startswith(message)
    assert "train on these in a new folder" in str(error.value)
