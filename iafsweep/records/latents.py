"""How much of a bound the latent variables carry."""

from __future__ import annotations

from iafsweep.records.base import Record


class Latents(Record):
    """What tells a posterior in use from one that has collapsed onto the prior; of one epoch, nats per image.

    Attributes:
        kl: mean of log q(z|x) - log p(z), on the images of the bound.
        bound: negative ELBO.
        active_units: latent variables that vary over images (variance above 0.01); None where that is not known.
    """

    kl: float
    bound: float
    active_units: int | None = None

    @property
    def share(self) -> float:
        """Share of the negative ELBO that the KL is."""
        return self.kl / self.bound

    def __str__(self) -> str:
        active = "" if self.active_units is None else f", {self.active_units} active units"
        return f"KL {self.kl:.2f} nats, {self.share:.0%} of the bound{active}"
