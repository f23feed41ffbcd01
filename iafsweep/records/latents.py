"""How much of a bound the latent variables carry."""

from __future__ import annotations

from iafsweep.records.base import Record


class Latents(Record):
    """Figures of one epoch that reveal whether the posterior has collapsed onto the prior, in nats per image.

    Attributes:
        kl: mean of log q(z|x) - log p(z), on the images of the bound.
        bound: negative ELBO.
        active_units: number of latent variables that vary over images (variance above 0.01); None if unknown.
    """

    kl: float
    bound: float
    active_units: int | None = None

    @property
    def share(self) -> float:
        """The KL as a share of the negative ELBO."""
        return self.kl / self.bound

    def __str__(self) -> str:
        active = "" if self.active_units is None else f", {self.active_units} active units"
        return f"KL {self.kl:.2f} nats, {self.share:.0%} of the bound{active}"
