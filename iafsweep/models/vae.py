"""The variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114) with a flow in its posterior.

The posterior is written in whitened noise: ``e ~ N(0, I)``, ``z = flow(mean + std * e; context)``, hence
``log q(z|x) = log N(e; 0, I) - log|det dz/de|``. Sampling, importance weights and annealing all go through the noise,
and only reverse chains invert the flow.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from iafsweep.config import ImageFormat
from iafsweep.models.decoders import Decoder
from iafsweep.models.encoders import Encoder, EncoderOutput
from iafsweep.models.flows import Flow
from iafsweep.models.inputs import checked_generator, checked_images, checked_whole
from iafsweep.models.likelihoods import Likelihood, centred
from iafsweep.models.passes import Passes
from iafsweep.models.priors import Prior
from iafsweep.models.shapes import ImageShape


class PosteriorParameters(NamedTuple):
    """Parameters of the posterior q(z|x): one encoder pass serves any number of samples.

    Attributes:
        mean: mean of the base Gaussian, [B, D].
        log_std: logarithm of its standard deviation, posterior offset included, [B, D].
        context: what the flow is conditioned on, [B, C]; None when the flow takes no context.
    """

    mean: Tensor
    log_std: Tensor
    context: Tensor | None


@final
class VAE(nn.Module):
    """A variational autoencoder: encoder, flow, decoder, prior and likelihood, with their densities in nats.

    In training mode batch norm makes the images of a batch depend on each other, so densities are those of a proper
    model only in eval mode: call ``model.eval()``. ``sample``, ``reconstruct``, ``predict`` and ``invert_noise``
    require it.

    Args:
        encoder: maps images to the base Gaussian's parameters and a hidden layer.
        context_map: maps the hidden layer [B, H] to the context [B, C]; None when the flow takes no context.
        flow: maps the base Gaussian to the posterior.
        decoder: maps latent variables to the parameters of the likelihood.
        prior: density of the latent variables.
        likelihood: density of the images, given the decoder's parameters.
        latent_size: D.
        posterior_offset: added to the encoder's log standard deviation.

    Raises:
        ValueError: a context map without a flow that takes a context, or vice versa.
    """

    def __init__(
        self,
        encoder: Encoder,
        context_map: nn.Module | None,
        flow: Flow,
        decoder: Decoder,
        prior: Prior,
        likelihood: Likelihood,
        *,
        latent_size: int,
        posterior_offset: float,
    ) -> None:
        super().__init__()
        if (context_map is None) != (flow.context_size is None):
            raise ValueError("a flow with a context needs a context map, and a flow without one must have none")
        self.encoder = encoder
        self.context_map = context_map
        self.flow = flow
        self.decoder = decoder
        self.prior = prior
        self.likelihood = likelihood
        self.latent_size = latent_size
        self.posterior_offset = posterior_offset

    @property
    def image(self) -> ImageFormat:
        """Format of an image: its shape and the number of levels of its values."""
        return self.likelihood.image

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height, width."""
        return self.image.shape

    def encode(self, x: Tensor) -> PosteriorParameters:
        """Return the parameters of q(z|x); the images x are checked and converted to the model's dtype and device.

        Args:
            x: [B, *image_shape], of any dtype and device: bits (or probabilities from 0 to 1), or levels 0 to L - 1.

        Raises:
            TypeError: `x` is not a tensor of real numbers.
            ValueError: `x` has another shape, or values that its images cannot have.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> parameters = run.model.encode(run.images("test", 5))
            >>> parameters.mean.shape == (5, run.model.latent_size)
            True
        """
        return self.posterior(checked_images(x, self.image, next(self.parameters())))

    def posterior(self, x: Tensor) -> PosteriorParameters:
        """Do the work of :meth:`encode` without its checks, which would stall a GPU and break a compiled step.

        Args:
            x: [B, *image_shape], of the model's dtype and on its device.
        """
        levels = self.image.levels
        output: EncoderOutput = self.encoder(x if levels == 2 else centred(x, levels))  # noqa: PLR2004 - bits
        context = None if self.context_map is None else self.context_map(output.hidden)
        # Networks may compute in lower precision (autocast); densities are always computed in the images' own type.
        mean, log_std = output.mean.to(x.dtype), output.log_std.to(x.dtype)
        return PosteriorParameters(mean, log_std + self.posterior_offset, context)

    def transform_noise(self, noise: Tensor, parameters: PosteriorParameters) -> tuple[Tensor, Tensor]:
        """Map whitened noise to a posterior sample.

        Args:
            noise: e, [..., B, D], a draw of N(0, I) or any other point.
            parameters: of B images; shared by all leading sample dimensions.

        Returns:
            z [..., B, D] and ``log|det dz/de|`` [..., B].
        """
        base = parameters.mean + parameters.log_std.exp() * noise
        z, log_det = self.flow(base, parameters.context)
        return z, log_det + parameters.log_std.sum(-1)

    @torch.no_grad()
    def posterior_score(self, noise: Tensor, parameters: PosteriorParameters) -> Tensor:
        """Return d log q(z|x)/dz [..., B, D] at the z of noise [..., B, D], with fixed parameters; without gradient."""
        std = parameters.log_std.exp()
        return self.flow.push_score(parameters.mean + std * noise, parameters.context, -noise / std)

    def invert_noise(self, z: Tensor, parameters: PosteriorParameters) -> Tensor:
        """Return the noise [..., B, D] that ``transform_noise`` maps to z [..., B, D]; costs one inverse of the flow.

        Raises:
            RuntimeError: the model is in training mode.
        """
        self._require_eval_mode("invert_noise")
        base = self.flow.inverse(z, parameters.context)
        return (base - parameters.mean) * (-parameters.log_std).exp()

    def decode(self, z: Tensor) -> Tensor:
        """Return the likelihood's parameters for z [..., D], decoding all leading dimensions in one batch.

        Returns:
            [..., *likelihood.parameter_shape]: for a Bernoulli likelihood, the logits [..., *image_shape]; for an
            autoregressive decoder, the features that its head reads.
        """
        parameters: Tensor = self.decoder(z.reshape(-1, self.latent_size))
        return parameters.to(z.dtype).reshape(*z.shape[:-1], *self.likelihood.parameter_shape)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z), nats per image: x [B, *image_shape], z [..., B, D] to [..., B]."""
        return self.likelihood.log_density(x, self.decode(z))

    def log_prior(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats: z [..., D] to [...]."""
        return self.prior.log_density(z)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x, z) = log p(x|z) + log p(z), nats: x [B, *image_shape], z [..., B, D] to [..., B]."""
        return self.log_likelihood(x, z) + self.log_prior(z)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None, progress: Passes | None = None) -> Tensor:
        """Draw z ~ p(z) and decode it to new images, [count, *image_shape], on the model's device.

        The images are means of p(x|z), as shares of the largest level; for bits, the probabilities p(x=1|z). With an
        autoregressive decoder they are draws of p(x|z), whose means show nothing useful. To draw levels with the
        likelihood's noise, call ``model.likelihood.sample(model.decode(z), generator)``.

        Args:
            count: number of images.
            generator: draws the latent variables, then whatever the images need; None: one seeded with 0, so every
                call returns the same images.
            progress: called with the number of network passes done and their total, first for the prior, then for the
                head, if they take many; an exception that it raises ends the call.

        Raises:
            TypeError: `count` is not an integer, or `generator` is not a generator.
            ValueError: `count` is below 0.
            RuntimeError: the model is in training mode.

        Example:
            >>> import iafsweep, torch
            >>> model = iafsweep.load_run("runs/best").model
            >>> images = model.sample(3, torch.Generator().manual_seed(7))
            >>> images.shape, bool(((0 <= images) & (images <= 1)).all())
            (torch.Size([3, 1, 28, 28]), True)
        """
        self._require_eval_mode("sample")
        reference = next(self.parameters())
        generator = checked_generator(generator)
        z = self.prior.sample(checked_whole("count", count, 0), generator, reference, progress)
        return self.likelihood.picture(self.decode(z), generator, progress)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Encode x, draw one z ~ q(z|x) per image and decode it to images as in :meth:`sample`, [B, *image_shape].

        Args:
            x: [B, *image_shape], of any dtype and device: bits (or probabilities from 0 to 1), or levels
                0 to L - 1.
            generator: draws the posterior's noise, then whatever the images need; None: one seeded with 0, so every
                call returns the same images.

        Raises:
            TypeError: `x` is not a tensor of real numbers, or `generator` is not a generator.
            ValueError: `x` has another shape, or values that its images cannot have.
            RuntimeError: the model is in training mode.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> run.model.reconstruct(run.images("test", 5)).shape
            torch.Size([5, 1, 28, 28])
        """
        self._require_eval_mode("reconstruct")
        generator = checked_generator(generator)
        return self.likelihood.picture(self.decode(self._encoded(x, generator)), generator)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the most probable value of every pixel of x given one z ~ q(z|x) and the pixels of x before it.

        If pixels are independent given z, those before it have no effect. With an autoregressive decoder they may tell
        more than z does, so the result does not show what z encodes: compare it with :meth:`reconstruct`.

        Args:
            x: as in :meth:`reconstruct`.
            generator: as in :meth:`reconstruct`; the same generator gives the same z.

        Returns:
            Shares of the largest level, [B, *image_shape].

        Raises:
            TypeError, ValueError, RuntimeError: as in :meth:`reconstruct`.
        """
        self._require_eval_mode("predict")
        z = self._encoded(x, checked_generator(generator))
        x = checked_images(x, self.image, z)
        return self.likelihood.most_probable(x, self.decode(z)) / (self.image.levels - 1)

    def _encoded(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one z ~ q(z|x) per image, [B, D]."""
        parameters = self.encode(x)
        mean = parameters.mean
        noise = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=mean.dtype)
        return self.transform_noise(noise.to(mean.device), parameters)[0]

    def _require_eval_mode(self, method: str) -> None:
        # In training mode this would mix the images of a batch and also update the moving averages of the batch norms.
        if self.training:
            raise RuntimeError(
                f"{method} needs a model in eval mode, but this one is in training mode: call model.eval()"
            )
