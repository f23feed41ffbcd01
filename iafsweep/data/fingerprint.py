"""Fingerprints of the images that a run was trained, validated and tested on, so that others are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from iafsweep.errors import DataError
from iafsweep.records import Fingerprint, Split

_DID: dict[Split, str] = {"train": "trained", "validation": "validated", "test": "tested"}


def fingerprint(images: Tensor) -> Fingerprint:
    """Return the fingerprint of ``images``, uint8 [N, X...]; 60,000 MNIST images take 0.2 s."""
    digest = hashlib.blake2b(images.cpu().contiguous().numpy().data, digest_size=16).hexdigest()
    return Fingerprint(count=len(images), shape=tuple(images.shape[1:]), checksum=digest)


def refuse_other_images(run: Path, known: Mapping[Split, Fingerprint], found: Mapping[Split, Fingerprint]) -> None:
    """Check that the images ``found`` are those ``known`` from a run, for each split that both contain.

    Raises:
        DataError: they differ.
    """
    for split, here in found.items():
        if known.get(split, here) != here:
            raise DataError(
                f"{run} was {_DID[split]} on different images: on {known[split]}; found {here}. Continue or score it "
                f"with the images that it was {_DID[split]} on (if they are your own, with the script that loaded "
                f"them), or train on these in a new folder"
            )


def unknown_images(runs: str, source: str) -> str:
    """Return a remark on runs that do not record which images they were trained on."""
    return (
        f"{runs}: the training images are unknown (earlier versions did not record them); assuming those of "
        f"data.source = {source!r}"
    )
