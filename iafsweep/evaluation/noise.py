"""Random numbers of an estimator, drawn so that neither batching nor chunking changes them.

Shapes: S samples or chains, B images, D latent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

NOISE_BLOCK = 50
"""Start samples are always drawn so many at a time, whatever is asked for and however it is evaluated.

`torch.randn` gives other numbers when asked for 100 at once than for 50 twice. With fixed blocks the first samples of a
long run are the samples of a short one, and a run in which nothing moves is importance sampling draw for draw.
"""

Generators = torch.Generator | Sequence[torch.Generator]
"""One generator for a whole batch, or one an image: then an image's numbers do not depend on the images beside it.

Noise is drawn on the generator's own device and moved: a CPU generator gives the same numbers whatever the network
runs on.
"""


def draw_normal(
    size: tuple[int, int, int], generator: Generators, *, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Standard normal noise [S, B, D].

    Args:
        size: (S, B, D).
        generator: one for the batch, or B of them.
        dtype: type of the result, and the one drawn in.
        device: where the result goes.

    Raises:
        ValueError: generators were given one an image, but not B of them.
    """
    return _draw(torch.randn, size, generator, dtype).to(device)


def draw_uniform(size: tuple[int, int], generator: Generators, *, device: torch.device) -> Tensor:
    """Uniform noise in [0, 1), [S, B], float64. Arguments and errors as in `draw_normal`."""
    return _draw(torch.rand, size, generator, torch.float64).to(device)


def _draw(sampler: Callable[..., Tensor], size: tuple[int, ...], generator: Generators, dtype: torch.dtype) -> Tensor:
    if isinstance(generator, torch.Generator):
        return sampler(size, generator=generator, device=generator.device, dtype=dtype)
    samples, images, *latent = size
    if len(generator) != images:
        raise ValueError(
            f"generators must be one for the batch or one an image: got {len(generator)} for {images} images."
        )
    columns = [sampler((samples, *latent), generator=each, device=each.device, dtype=dtype) for each in generator]
    return torch.stack(columns, dim=1)
