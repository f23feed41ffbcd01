"""Which images, and how they are split and binarised."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from iafsweep.config.family import Family, Member
from iafsweep.config.image_format import ImageFormat
from iafsweep.config.section import Section

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Binarisation = Literal["dynamic", "fixed", "threshold", "none"]


class SourceFacts(NamedTuple):
    """What is known of a data source before it is read.

    Attributes:
        image_shape: channels, height, width.
        training_images: images in the training file, validation images included.
        test_images: images in the test file.
        validation_images: how many training images are held out unless the configuration says otherwise.
        levels: how many values a pixel can have: 256 of grey values, 2 of bits.
        binarisation: how its values become bits unless the configuration says otherwise.
    """

    image_shape: tuple[int, int, int]
    training_images: int
    test_images: int
    validation_images: int
    levels: int = 256
    binarisation: Binarisation = "dynamic"


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

    binarisation: Binarisation | None = Field(
        None,
        description="How values become bits: `dynamic`, drawn anew each epoch (validation and test images once, by "
        "`binarisation_seed`); `fixed`, training images drawn once too; `threshold`, 1 from half of the largest value "
        "on; `none`, not at all. Unset: as is customary for the source, `dynamic` for `mnist` and `mnist_mini`.",
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
    def image_format(self) -> ImageFormat:
        """What an image is to the model: the source's, or bits."""
        return ImageFormat(self.facts.image_shape, self.facts.levels if self.resolved_binarisation == "none" else 2)

    @property
    def resolved_binarisation(self) -> Binarisation:
        """How values become bits, the source's default resolved."""
        return self.facts.binarisation if self.binarisation is None else self.binarisation

    @property
    def draws_bits(self) -> bool:
        """Whether bits are drawn, so that others could have been."""
        return self.resolved_binarisation in ("dynamic", "fixed")

    @property
    def measured_on(self) -> str:
        """What figures are measured on, in a line; where it differs, they cannot be compared."""
        shape, levels = self.image_format
        values = f"{levels} levels"
        if levels == 2:  # noqa: PLR2004 - bits
            how = f"seed {self.binarisation_seed}" if self.draws_bits else str(self.resolved_binarisation)
            values = f"bits ({how})"
        return (
            f"{self.source}, {' x '.join(map(str, shape))}, {values}, {self.held_out} held out (seed {self.split_seed})"
        )

    @property
    def held_out(self) -> int:
        """Number of validation images, the source's default resolved."""
        return self.facts.validation_images if self.validation_images is None else self.validation_images

    @property
    def training_images(self) -> int:
        """Number of images trained on."""
        return self.facts.training_images - self.held_out
