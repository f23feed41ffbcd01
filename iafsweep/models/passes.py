"""Progress of a sampler that takes many passes of its networks."""

from collections.abc import Callable

Passes = Callable[[int, int], None]
"""Progress callback: gets the number done and the total after each network pass (`pixelcnn`: each row of pixels)."""
