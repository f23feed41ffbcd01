"""Your own images in training, sweeps and scoring: read once, checked, and recorded in the configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from iafsweep.config import DataConfig, RunConfig
from iafsweep.config.files import build_config
from iafsweep.data import Images, look
from iafsweep.errors import DataError
from iafsweep.search_space.space import SearchSpace
from iafsweep.search_space.validation import check_space

Given = Images | Path | str | None
"""Your own images, or their path; None: at ``data.path``, if the configuration asks for your own images."""


def with_images(config: RunConfig, given: Given) -> tuple[RunConfig, Images | None]:
    """Return a configuration that records what was found in your own images, and the images (None for a named set).

    Raises:
        DataError: the images cannot be used, or are not those that the configuration was made with.
        ConfigError: the configuration does not fit the images: a batch is larger than their number, say.
    """
    data = config.data
    if not isinstance(given, Given):
        raise DataError(
            f"your own images must be iafsweep.Images(train=...) or a path, got {type(given).__name__}; wrap arrays: "
            f"images=iafsweep.Images(train=array)"
        )
    if isinstance(given, str | Path):
        if data.source != "file":
            raise DataError(
                f"--data-path {given} (in Python images=) is for data.source = 'file', but here it is "
                f"{data.source!r}; set data.source = 'file', or leave the path out"
            )
        data = data.model_copy(update={"path": str(given)})
    found, images = look(data, given if isinstance(given, Images) else None)
    if found == config.data:
        return config, images
    values = config.model_dump() | {"data": found.model_dump()}
    return build_config(values, "the configuration does not fit the images" if images is None else images.name), images


def space_with_images(space: SearchSpace, given: Given) -> tuple[SearchSpace, Images | None]:
    """Do as :func:`with_images` with the base of a search space, and drop the images' path from its fixed values.

    Raises:
        DataError, ConfigError: as :func:`with_images`, for any configuration of the space.
    """
    base, images = with_images(space.base, given)
    if base is space.base:
        return space, images
    fixed = tuple(path for path in space.fixed_paths if path != "data.path")
    found = replace(space, base=base, fixed_paths=fixed)
    if space.base.data.images is None:
        check_space(found)  # now that sizes and counts are known
    return found, images


def told(data: DataConfig, images: Images) -> str:
    """Return one line with the numbers of training, validation and test images, and their format."""
    channels, height, width = data.facts.image_shape
    return (
        f"{images.name}: {data.training_images:,} images to train on, {data.held_out:,} to validate on, "
        f"{data.facts.test_images:,} to test on; {channels} x {height} x {width}, {images.levels} levels (values 0 to "
        f"{images.levels - 1}){f'; not read: {images.left_out}' if images.left_out else ''}"
    )
