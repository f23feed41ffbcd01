"""Which images to use, and how to split and binarise them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict, model_validator

from iafsweep.config.meaning import Where
from iafsweep.config.section import Section
from iafsweep.config.sources import SOURCES, Binarisation, ImageFormat, SourceFacts, source_facts
from iafsweep.errors import ConfigError

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Pixels = Annotated[int, Field(ge=1, le=4096)]
Count = Annotated[int, Field(ge=0)]
Levels = Annotated[int, Field(ge=2, le=256)]


class FoundImages(Section):
    """What was found in your own images. The program writes it, and compares it with what it finds later."""

    shape: Annotated[tuple[Pixels, Pixels, Pixels], Strict(strict=False)]
    levels: Levels
    training_images: Count
    test_images: Count
    validation_images: Count
    validation_is_last: bool
    training_checksum: str
    test_checksum: str

    @property
    def facts(self) -> SourceFacts:
        """The same in the form used for named sources."""
        return SourceFacts(
            self.shape,
            self.training_images,
            self.test_images,
            self.validation_images,
            self.levels,
            self.validation_is_last,
            binarisation="none",
        )

    def __str__(self) -> str:
        channels, height, width = self.shape
        return (
            f"{self.training_images:,} images to train and validate on, {self.test_images:,} to test on, "
            f"{channels} x {height} x {width}, {self.levels} levels, checksums {self.training_checksum[:8]} and "
            f"{self.test_checksum[:8]}"
        )


class DataConfig(Section):
    """Which images to use, and how to split and binarise them."""

    source: Annotated[str, SOURCES] = Field(
        "mnist",
        description="A named set (`run_sweep.py data` lists them), or `file` for your own images at `data.path`.",
    )
    path: Annotated[str | None, Where()] = Field(
        None,
        description="Where your own images are: an `.npz` or `.npy` file, a folder or `.zip` of pictures, or a folder "
        "of IDX files; relative to the current folder. Configurations that differ only in it count as the same.",
    )
    image_size: Annotated[tuple[Pixels, Pixels] | None, Strict(strict=False), Where()] = Field(
        None, description="Height and width to which your own images are resized, antialiased; unset: their own size."
    )
    grey: Annotated[bool, Where()] = Field(False, description="Turn your own colour images grey.")
    invert: Annotated[bool, Where()] = Field(False, description="Swap black and white in your own images.")
    levels: Annotated[Levels | None, Where()] = Field(
        None,
        description="Number of values that a pixel of your own images can have, 0 to `levels` - 1. Unset: 256 if "
        "images are resized; else 2 if they are black and white; else 256 if values are floats or one is above 127; "
        "else the largest value + 1.",
    )
    images: FoundImages | None = Field(
        None, description="What was found in your own images. The program writes it; a configuration need not have it."
    )
    validation_images: int | None = Field(
        None,
        ge=0,
        description="Training images held out for validation. Unset: the number that `run_sweep.py data` lists, such "
        "as 5,000 for `mnist`; a tenth of your own images, unless they come with some. 0 (none) is for single runs "
        "only.",
    )
    split_seed: Seed = Field(0, description="Seed of the split into training and validation images.")
    binarisation_seed: Seed = Field(
        0, description="Seed of the fixed binarisation of validation and test images, and of training images if scored."
    )
    binarisation: Binarisation | None = Field(
        None,
        description="How values become bits. `dynamic`: drawn anew in every epoch (validation and test images once, by "
        "`binarisation_seed`). `fixed`: training images are drawn once too. `threshold`: 1 from half of the largest "
        "possible value on. `none`: not at all. Unset: the custom for the set, which is `dynamic` for grey ones and "
        "`none` for `cifar10`, sets of bits and your own images.",
    )

    @model_validator(mode="after")
    def _leaves_training_images(self) -> DataConfig:
        for name, field in type(self).model_fields.items():
            is_own = any(isinstance(mark, Where) for mark in field.metadata)
            if is_own and self.source != "file" and getattr(self, name) != field.default:
                raise ValueError(
                    f"{name} = {getattr(self, name)!r} is for your own images, but source = {self.source!r}; set "
                    f"data.source = 'file', or leave it out"
                )
        if not self.is_known:
            return self
        available = self.facts.training_images
        if self.held_out >= available:
            raise ValueError(
                f"validation_images = {self.held_out} leaves no training image: {self.called} has {available:,}; "
                f"hold out fewer"
            )
        return self

    @property
    def is_known(self) -> bool:
        """Whether the facts are known; those of your own images are once they have been read."""
        return self.source != "file" or self.images is not None

    @property
    def called(self) -> str:
        """The source's name as part of a sentence."""
        return "your own set" if self.source == "file" else self.source

    @property
    def told(self) -> str:
        """The source for a reader: what it is, who made it, its licence; for your own images, what was found."""
        if self.images is not None:
            return f"{self.called}: {self.images}"
        about = self.facts.about
        told = [self.called, about.title, about.citation, f"licence {about.licence}" if about.licence else ""]
        return "; ".join(each for each in told if each)

    @property
    def facts(self) -> SourceFacts:
        """The known sizes of the source.

        Raises:
            ConfigError: they are your own images and have not been read yet.
        """
        if self.source != "file":
            return source_facts(self.source)
        if self.images is None:
            raise ConfigError(
                "the images of data.source = 'file' have not been read yet; iafsweep.data.look reads them"
            )
        return self.images.facts

    @property
    def image_format(self) -> ImageFormat:
        """The format of the images that the model sees: the source's own, or bits."""
        return ImageFormat(self.facts.image_shape, self.facts.levels if self.resolved_binarisation == "none" else 2)

    @property
    def resolved_binarisation(self) -> Binarisation:
        """How values become bits, the source's default resolved."""
        return self.facts.binarisation if self.binarisation is None else self.binarisation

    @property
    def draws_bits(self) -> bool:
        """Whether bits are drawn at random, so that another seed gives others."""
        return self.resolved_binarisation in ("dynamic", "fixed")

    @property
    def measured_on(self) -> str:
        """What figures are measured on, in one line. Figures with different lines cannot be compared."""
        shape, levels = self.image_format
        values = f"{levels} levels"
        if levels == 2:  # noqa: PLR2004 - bits
            how = f"seed {self.binarisation_seed}" if self.draws_bits else str(self.resolved_binarisation)
            values = f"bits ({how})"
        source = self.source if self.images is None else str(self.images)
        return f"{source}, {' x '.join(map(str, shape))}, {values}, {self.held_out} held out (seed {self.split_seed})"

    @property
    def held_out(self) -> int:
        """Number of validation images, the source's default resolved."""
        return self.facts.validation_images if self.validation_images is None else self.validation_images

    @property
    def training_images(self) -> int:
        """Number of images to train on."""
        return self.facts.training_images - self.held_out
