"""Images of one's own where training, a sweep or scoring begins: read once, checked, and said in the configuration."""

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
"""Images of one's own, or where they are; None: at ``data.path``, if the configuration asks for such."""


def with_images(config: RunConfig, given: Given) -> tuple[RunConfig, Images | None]:
    """Return a configuration that says what was found in images of one's own, and these; None of a set with a name.

    Raises:
        DataError: they cannot be used, or are not those that the configuration was made with.
        ConfigError: the configuration is not one for such images: a batch is larger than there are, say.
    """
    data = config.data
    if not isinstance(given, Given):
        raise DataError(
            f"images of one's own are iafsweep.Images(train=...) or a path, got {type(given).__name__}; wrap arrays: "
            f"images=iafsweep.Images(train=array)"
        )
    if isinstance(given, str | Path):
        if data.source != "file":
            raise DataError(
                f"--data-path {given} (in Python images=) is for data.source = 'file'; here it is {data.source!r}"
            )
        data = data.model_copy(update={"path": str(given)})
    found, images = look(data, given if isinstance(given, Images) else None)
    if found == config.data:
        return config, images
    values = config.model_dump() | {"data": found.model_dump()}
    return build_config(values, "the configuration does not fit the images" if images is None else images.name), images


def space_with_images(space: SearchSpace, given: Given) -> tuple[SearchSpace, Images | None]:
    """Return a search space whose base is as of :func:`with_images`; its fixed values do not say where images are.

    Raises:
        DataError, ConfigError: as :func:`with_images`, of any configuration of the space.
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
    """Return in a line how many images went where."""
    channels, height, width = data.facts.image_shape
    return (
        f"{images.name}: {data.training_images:,} images to train on, {data.held_out:,} to validate on, "
        f"{data.facts.test_images:,} to test on; {channels} x {height} x {width}, {images.levels} levels (values 0 to "
        f"{images.levels - 1}){f'; not read: {images.left_out}' if images.left_out else ''}"
    )
