"""Which images, and how they are split and binarised."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from iafsweep.config.family import Family, Member
from iafsweep.config.section import Section

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class SourceFacts(NamedTuple):
    """What is known of a data source before it is read.

    Attributes:
        image_shape: channels, height, width.
        training_images: images in the training file, validation images included.
        test_images: images in the test file.
        validation_images: how many training images are held out unless the configuration says otherwise.
        levels: how many values a pixel can have: 256 of grey values, 2 of bits.
    """

    image_shape: tuple[int, int, int]
    training_images: int
    test_images: int
    validation_images: int
    levels: int = 256


_MNIST = SourceFacts((1, 28, 28), training_images=60_000, test_images=10_000, validation_images=5_000)
_MNIST_MINI = SourceFacts((1, 28, 28), training_images=10_000, test_images=1_000, validation_images=1_000)

SOURCES = Family(
    "data.source",
    {
        "mnist": Member("iafsweep.data.mnist", _MNIST),
        "mnist_mini": Member("iafsweep.data.mnist_mini", _MNIST_MINI),
    },
)
"""Every data source, by the name configurations use."""


def source_facts(source: str) -> SourceFacts:
    """Return what is known of a data source before it is read."""
    facts = SOURCES.members[source].knows
    if not isinstance(facts, SourceFacts):
        raise TypeError(f"the data source {source!r} has no facts")
    return facts


class DataConfig(Section):
    """Which images, and how they are split and binarised."""

    source: Annotated[str, SOURCES] = Field(
        "mnist", description="Data set: `mnist` (60,000 / 10,000) or `mnist_mini` (10,000 / 1,000, inside the package)."
    )
    validation_images: int | None = Field(
        None,
        ge=0,
        description="Training images held out for validation; unset: 5,000 of `mnist`, 1,000 of `mnist_mini`. "
        "0 (none) is for single runs only.",
    )
    split_seed: Seed = Field(0, description="Seed of the split into training and validation images.")
    binarisation_seed: Seed = Field(
        0, description="Seed of the fixed binarisation of validation and test images, and of training images scored."
    )

    @model_validator(mode="after")
    def _leaves_training_images(self) -> DataConfig:
        available = self.facts.training_images
        if self.held_out >= available:
            raise ValueError(
                f"validation_images = {self.held_out} leaves no training image: `{self.source}` has {available:,}; "
                f"hold out fewer"
            )
        return self

    @property
    def facts(self) -> SourceFacts:
        """The known sizes of the source."""
        return source_facts(self.source)

    @property
    def held_out(self) -> int:
        """Number of validation images, the source's default resolved."""
        return self.facts.validation_images if self.validation_images is None else self.validation_images

    @property
    def training_images(self) -> int:
        """Number of images trained on."""
        return self.facts.training_images - self.held_out
