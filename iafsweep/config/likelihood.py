"""Which density of pixels the decoder's output is taken for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from iafsweep.config.family import Family, FamilyConfig, Member, MemberConfig
from iafsweep.config.image_format import ImageFormat


class MixtureConfig(MemberConfig):
    """Size of the `discretised_logistic_mixture` likelihood."""

    components: Annotated[int, Field(ge=1, le=1000)] = Field(10, description="Logistics that each pixel mixes.")


_PLACE = "iafsweep.models.likelihoods"

LIKELIHOODS = Family(
    "model.likelihood.kind",
    {
        "bernoulli": Member(f"{_PLACE}.bernoulli:Bernoulli"),
        "discretised_logistic": Member(f"{_PLACE}.discretised_logistic:DiscretisedLogistic"),
        "discretised_logistic_mixture": Member(
            f"{_PLACE}.discretised_logistic_mixture:DiscretisedLogisticMixture", MixtureConfig
        ),
    },
)
"""Every likelihood, by the name configurations use."""

OF_LEVELS = ("discretised_logistic", "discretised_logistic_mixture")
"""Those that give the images' own levels probabilities, and so need images that were not made bits."""


class LikelihoodConfig(FamilyConfig):
    """The density p(x|z) of images: its kind, and the sizes of a kind that has some."""

    family = LIKELIHOODS
    kind: Annotated[str, LIKELIHOODS] | None = Field(  # type: ignore[assignment]  # follows from the images
        None,
        description='`bernoulli` for bits; for images of more levels (`data.binarisation = "none"`) '
        "`discretised_logistic` or `discretised_logistic_mixture`, probabilities of the levels themselves. "
        "Unset: `bernoulli` for bits, else `discretised_logistic`.",
    )

    def resolved(self, image: ImageFormat) -> str:
        """Return the kind, its default for images of this format resolved."""
        return self.kind or ("bernoulli" if image.dimensions is None else "discretised_logistic")
