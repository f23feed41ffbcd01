"""Which density of pixels the decoder's output is taken for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from iafsweep.config.image_format import ImageFormat
from iafsweep.config.section import Section

LikelihoodKind = Literal["bernoulli", "discretised_logistic", "discretised_logistic_mixture"]


class MixtureConfig(Section):
    """Size of the `discretised_logistic_mixture` likelihood."""

    components: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="Logistics that each pixel mixes.")


class LikelihoodConfig(Section):
    """The density p(x|z) of images: its kind, and the sizes of a kind that has some."""

    kind: LikelihoodKind | None = Field(
        None,
        description='`bernoulli` for bits; for images of more levels (`data.binarisation = "none"`) '
        "`discretised_logistic` or `discretised_logistic_mixture`, probabilities of the levels themselves. "
        "Unset: `bernoulli` for bits, else `discretised_logistic`.",
    )
    discretised_logistic_mixture: MixtureConfig = MixtureConfig()

    def resolved(self, image: ImageFormat) -> LikelihoodKind:
        """Return the kind, its default for images of this format resolved."""
        return self.kind or ("bernoulli" if image.dimensions is None else "discretised_logistic")
