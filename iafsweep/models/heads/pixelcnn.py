"""The `pixelcnn` head: p(x|z) pixel by pixel (van den Oord et al. 2016, arXiv:1606.05328).

``p(x|z) = prod over pixels i of p(x_i | x_1 ... x_(i-1), z)``, row by row from the upper left, and channel by channel
within a pixel. Gated masked convolutions over the earlier pixels give the parameters of the pixel's likelihood; every
layer adds a linear map of the decoder's features at the pixel (Gulrajani et al. 2017, PixelVAE, arXiv:1611.05013).
`layers` and `kernel` limit what they see, so that the rest is left to z (Chen et al. 2017, arXiv:1611.02731).

Masked inputs are not computed: a convolution is split into one over the rows above and one over the pixels to the left.
"""

from __future__ import annotations

from typing import cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from iafsweep.config import AutoregressiveConfig
from iafsweep.config.model import PixelCnnConfig
from iafsweep.models.heads.base import Head
from iafsweep.models.likelihoods import Likelihood, PixelLikelihood, centred
from iafsweep.models.passes import Passes

_IMAGES_AT_A_TIME = 128
_USUAL_MAPS = 128
"""Up to this many maps, in all layers together, take no more memory for a gradient than the decoders for which the
numbers of rows were chosen."""


@final
class CausalLayer(nn.Module):
    """``tanh(a) * sigmoid(b)`` with ``(a, b) = above(y) + left(y) + condition(features)``.

    Args:
        inputs: maps of y.
        features: maps of the features.
        maps: maps of the output.
        kernel: odd; the layer sees ``kernel // 2`` rows above, and as many pixels to each side.
        sees_itself: whether the layer sees y at the pixel itself; false if y is the image.
    """

    def __init__(self, inputs: int, features: int, maps: int, kernel: int, *, sees_itself: bool) -> None:
        super().__init__()
        self.reach = kernel // 2
        self.seen = self.reach + sees_itself
        self.above = nn.Conv2d(inputs, 2 * maps, (self.reach, kernel), bias=False)
        self.left = nn.Conv2d(inputs, 2 * maps, (1, self.seen), bias=False)
        self.condition = nn.Conv2d(features, 2 * maps, 1)

    def forward(self, y: Tensor, features: Tensor) -> Tensor:
        """Compute all pixels: y [N, inputs, height, width], features [N, features, height, width]."""
        return self.gated(self.pre_activation(y, features))

    def pre_activation(self, y: Tensor, features: Tensor) -> Tensor:
        """Return ``(a, b)``, [N, 2 * maps, height, width]."""
        reach, width = self.reach, y.shape[-1]
        rows = F.pad(y, (reach, reach, reach, 0))[..., :-1, :]
        row = F.pad(y, (reach, 0))[..., : width + self.seen - 1]
        summed: Tensor = self.above(rows) + self.condition(features) + self.left(row)
        return summed

    @staticmethod
    def gated(both: Tensor) -> Tensor:
        """Return ``tanh(a) * sigmoid(b)``."""
        value, gate = both.chunk(2, dim=1)
        return torch.tanh(value) * torch.sigmoid(gate)


@final
class PixelCnn(Likelihood, Head):
    """Causal layers, each but the first added to its input, then ``W [ELU(V [y, x_<c]), features]`` for each channel.

    Args:
        pixel: the likelihood of a pixel.
        features: maps that the decoder outputs.
        layers: number of layers.
        maps: maps of each layer.
        kernel: kernel size of each layer, odd.
    """

    is_autoregressive = True
    places: Tensor  # index of each output map, ordered by channel, among the pixel's maps

    def __init__(self, pixel: PixelLikelihood, features: int, layers: int, maps: int, kernel: int) -> None:
        super().__init__(pixel.image, features, pixel.noise_maps)
        self.pixel = pixel
        channels = pixel.image.shape[0]
        self.layers = nn.ModuleList(
            CausalLayer(maps if number else channels, features, maps, kernel, sees_itself=number > 0)
            for number in range(layers)
        )
        self.mixed = nn.ModuleList(nn.Conv2d(maps + channel, maps, 1) for channel in range(channels))
        first = pixel.channel_of_map
        self.output = nn.ModuleList(nn.Conv2d(maps + features, first.count(channel), 1) for channel in range(channels))
        places = sorted(range(len(first)), key=lambda place: first[place])
        self.register_buffer("places", torch.tensor(places), persistent=False)

    @classmethod
    def from_config(cls, config: AutoregressiveConfig, pixel: PixelLikelihood) -> PixelCnn:
        """Make the head with the sizes in ``config.pixelcnn``."""
        sizes = config.section(PixelCnnConfig)
        return cls(pixel, sizes.features, sizes.layers, sizes.maps, sizes.kernel)

    @property
    def row_numbers(self) -> int:
        """Pixels times the number of features, or times the maps of all layers over ``_USUAL_MAPS`` if larger."""
        maps = sum(layer.condition.out_channels // 2 for layer in self._layers)
        _, height, width = self.image.shape
        return height * width * max(self.maps, maps // _USUAL_MAPS)

    def log_density(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return log p(x|z), nats per image, in one pass: x [B, *shape], features [..., B, *parameter_shape]."""
        return self.pixel.log_density(x, self.parameters_of(x, parameters))

    def parameters_of(self, x: Tensor, features: Tensor) -> Tensor:
        """Return the parameters of each pixel of x given the pixels before it, [..., B, *pixel.parameter_shape].

        The networks may compute in lower precision (autocast); the parameters are of the features' type.

        Args:
            x: [B, *shape].
            features: [..., B, *parameter_shape].
        """
        leading = features.shape[:-3]
        levels = x.to(features.dtype).expand(*leading, *self.image.shape).flatten(0, -4)
        flat = features.flatten(0, -4)
        y = centred(levels, self.image.levels)
        for number, layer in enumerate(self._layers):
            y = y + layer(y, flat) if number else layer(y, flat)
        centre = centred(levels, self.image.levels)
        parts = [self._of_channel(channel, y, centre, flat) for channel in range(self.image.shape[0])]
        return self._in_place(parts).to(features.dtype).reshape(*leading, *self.pixel.parameter_shape)

    def from_noise(self, parameters: Tensor, noise: Tensor, passes: Passes | None = None) -> Tensor:
        """Draw levels pixel by pixel; ``passes`` is called after each row of a batch of images.

        Each layer is computed once per pixel, from the results at earlier pixels: in all, the arithmetic of one pass.
        """
        features, uniform = parameters.flatten(0, -4), noise.flatten(0, -4)
        height, done = self.image.shape[1], 0
        parts = list(zip(features.split(_IMAGES_AT_A_TIME), uniform.split(_IMAGES_AT_A_TIME), strict=True))
        levels = []
        for part in parts:
            drawing = _Drawing(self, *part)
            for row in range(height):
                drawing.draw_row(row)
                done += 1
                if passes is not None:
                    passes(done, len(parts) * height)
            levels.append(drawing.levels)
        return torch.cat(levels).reshape(*parameters.shape[:-3], *self.image.shape)

    def picture(self, parameters: Tensor, generator: torch.Generator, passes: Passes | None = None) -> Tensor:
        """Return a draw, since the mean of a pixel over all that may precede it shows nothing useful."""
        return self.sample(parameters, generator, passes) / (self.image.levels - 1)

    def most_probable(self, x: Tensor, parameters: Tensor) -> Tensor:
        """Return the most probable level of each value given the pixels of x before it, in one pass."""
        return self.pixel.most_probable(x, self.parameters_of(x, parameters))

    def _of_channel(self, channel: int, y: Tensor, centre: Tensor, features: Tensor) -> Tensor:
        """Return the parameters that come in with a channel, from y of the last layer and the earlier channels of x."""
        mixed = F.elu(self.mixed[channel](torch.cat((y, centre[:, :channel].to(y.dtype)), dim=1)))
        part: Tensor = self.output[channel](torch.cat((mixed, features.to(mixed.dtype)), dim=1))
        return part

    def _in_place(self, parts: list[Tensor]) -> Tensor:
        """Arrange the parameters of the first channels in the order of the pixel likelihood's maps; the rest are 0."""
        together = torch.cat(parts, dim=1)
        whole = together.new_zeros(len(together), self.pixel.maps, *together.shape[2:])
        return whole.index_copy(1, self.places[: together.shape[1]], together)

    @property
    def _layers(self) -> list[CausalLayer]:
        return cast("list[CausalLayer]", list(self.layers))


class _Drawing:
    """Images that are being drawn, and the input of every layer; rows and pixels that are not drawn yet are 0.

    Attributes:
        levels: [N, *shape].
    """

    def __init__(self, head: PixelCnn, features: Tensor, noise: Tensor) -> None:
        channels, height, width = head.image.shape
        self._head, self._features, self._noise = head, features, noise
        self._layers = head._layers
        self.levels = features.new_zeros(len(features), channels, height, width)
        reach = self._layers[0].reach
        maps = [layer.above.in_channels for layer in self._layers]
        self._read = [features.new_zeros(len(features), each, height + reach, width + 2 * reach) for each in maps]

    def draw_row(self, row: int) -> None:
        """Draw the pixels of a row; the rows above it must be drawn already."""
        features = self._features[..., row : row + 1, :]
        above = [
            layer.above(read[..., row : row + layer.reach, :]) + layer.condition(features)
            for layer, read in zip(self._layers, self._read, strict=True)
        ]
        for column in range(self.levels.shape[-1]):
            self._draw_pixel(row, column, [each[..., column : column + 1] for each in above])

    def _draw_pixel(self, row: int, column: int, above: list[Tensor]) -> None:
        head, here = self._head, (..., slice(row, row + 1), slice(column, column + 1))
        reach = self._layers[0].reach
        there = (..., slice(row + reach, row + reach + 1), slice(column + reach, column + reach + 1))
        y = self._read[0][there]
        for number, (layer, read, seen) in enumerate(zip(self._layers, self._read, above, strict=True)):
            if number:
                read[there] = y
            left = read[..., row + reach : row + reach + 1, column : column + layer.seen]
            gated = layer.gated(seen + layer.left(left))
            y = y + gated if number else gated
        centre = self._read[0][there]
        parts: list[Tensor] = []
        for channel in range(head.image.shape[0]):
            parts.append(head._of_channel(channel, y, centre, self._features[here]))
            drawn = head.pixel.from_noise(head._in_place(parts), self._noise[here])
            self.levels[here][:, channel] = drawn[:, channel]
            centre[:, channel] = centred(drawn[:, channel], head.image.levels)
