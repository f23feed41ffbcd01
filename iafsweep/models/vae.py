"""The variational autoencoder (Kingma and Welling 2014, arXiv:1312.6114) with a flow in its posterior.

The posterior is written in whitened noise: ``e ~ N(0, I)``, ``z = flow(mean + std * e; context)``, hence
``log q(z|x) = log N(e; 0, I) - log|det dz/de|``. Sampling, importance weights and annealing all go through the noise,
and only reverse chains ever invert the flow.
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
    """All the posterior q(z|x) takes from an image: one encoder pass serves any number of samples.

    Attributes:
        mean: mean of the base Gaussian, [B, D].
        log_std: logarithm of its standard deviation, the posterior offset added, [B, D].
        context: what the flow is conditioned on, [B, C]; None when the flow takes no context.
    """

    mean: Tensor
    log_std: Tensor
    context: Tensor | None


@final
class VAE(nn.Module):
    """Encoder, flow, decoder, prior and likelihood, and the densities they make together, in nats.

    In training mode batch norm ties the images of a batch together; densities are those of a proper model only in eval
    mode. ``sample``, ``reconstruct`` and ``invert_noise`` insist on it, the caller chooses it: ``model.eval()``.

    Args:
        encoder: images to the base Gaussian's parameters and a hidden layer.
        context_map: hidden layer [B, H] to context [B, C]; None when the flow takes no context.
        flow: from the base Gaussian to the posterior.
        decoder: latent variables to the parameters of the likelihood.
        prior: of the latent variables.
        likelihood: of the images, given the decoder's parameters.
        latent_size: D.
        posterior_offset: added to the encoder's log standard deviation.

    Raises:
        ValueError: a context map without a flow that takes a context, or the reverse.
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
            raise ValueError("a flow that takes a context needs a context map, one that takes none must have none")
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
        """What an image is to the model: its shape, and how many levels its values have."""
        return self.likelihood.image

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height, width."""
        return self.image.shape

    def encode(self, x: Tensor) -> PosteriorParameters:
        """Return the parameters of q(z|x) for images x, checked and converted to the model's dtype and device.

        Args:
            x: [B, *image_shape], of any dtype and device: bits (or probabilities from 0 to 1), or levels 0 to L - 1.

        Raises:
            TypeError: no tensor of real numbers.
            ValueError: images of another shape, or values that are none of theirs.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> parameters = run.model.encode(run.images("test", 5))
            >>> parameters.mean.shape == (5, run.model.latent_size)
            True
        """
        return self.posterior(checked_images(x, self.image, next(self.parameters())))

    def posterior(self, x: Tensor) -> PosteriorParameters:
        """Do the work of :meth:`encode` without its checks, which would make a GPU wait and break a compiled step.

        Args:
            x: [B, *image_shape] of the model's own dtype, on its device.
        """
        levels = self.image.levels
        output: EncoderOutput = self.encoder(x if levels == 2 else centred(x, levels))  # noqa: PLR2004 - bits
        context = None if self.context_map is None else self.context_map(output.hidden)
        # Networks may compute in fewer bits (autocast); densities are always those of the images' own type.
        mean, log_std = output.mean.to(x.dtype), output.log_std.to(x.dtype)
        return PosteriorParameters(mean, log_std + self.posterior_offset, context)

    def transform_noise(self, noise: Tensor, parameters: PosteriorParameters) -> tuple[Tensor, Tensor]:
        """Turn whitened noise into a posterior sample.

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
        """Return d log q(z|x)/dz at fixed parameters where noise [..., B, D] lands, [..., B, D]; without gradient."""
        std = parameters.log_std.exp()
        return self.flow.push_score(parameters.mean + std * noise, parameters.context, -noise / std)

    def invert_noise(self, z: Tensor, parameters: PosteriorParameters) -> Tensor:
        """Return the noise [..., B, D] that ``transform_noise`` turns into z [..., B, D]; the cost is the flow's.

        Raises:
            RuntimeError: the model is in training mode.
        """
        self._require_eval_mode("invert_noise")
        base = self.flow.inverse(z, parameters.context)
        return (base - parameters.mean) * (-parameters.log_std).exp()

    def decode(self, z: Tensor) -> Tensor:
        """Return the likelihood's parameters for z [..., D], all leading dimensions in one batch.

        Returns:
            [..., *likelihood.parameter_shape]; of a Bernoulli likelihood the logits [..., *image_shape], with an
            autoregressive decoder the features that its head reads.
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
        """Draw z ~ p(z) and decode: pictures of new images, [count, *image_shape], on the model's device.

        A picture holds the means of p(x|z), as shares of the largest level: of bits the probabilities p(x=1|z). With an
        autoregressive decoder it is a draw of p(x|z), which has no means to show. Levels themselves, noise included,
        are drawn by ``model.likelihood.sample(model.decode(z), generator)``.

        Args:
            count: how many images.
            generator: draws the latent variables, then what pictures need; None: one seeded with 0, so the same images
                at every call.
            progress: hears, where prior or head takes many passes of its networks, how many are done and of how many,
                first of the one, then of the other; what it raises ends the call.

        Raises:
            TypeError: `count` is no whole number, or `generator` no generator.
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
        """Encode x, draw one z ~ q(z|x) an image, decode: pictures as of :meth:`sample`, [B, *image_shape].

        Args:
            x: [B, *image_shape], of any dtype and device: bits (or probabilities from 0 to 1), or levels
                0 to L - 1.
            generator: draws the posterior's noise, then what pictures need; None: one seeded with 0, so the same at
                every call.

        Raises:
            TypeError: `x` is no tensor of real numbers, or `generator` no generator.
            ValueError: images of another shape, or values that are none of theirs.
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

        Where pixels are independent given z, those before it say nothing. With an autoregressive decoder they may say
        more than z, so this is no picture of what z holds: see :meth:`reconstruct` beside it.

        Args:
            x: as :meth:`reconstruct` takes it.
            generator: likewise; the same z as there.

        Returns:
            Shares of the largest level, [B, *image_shape].

        Raises:
            TypeError, ValueError, RuntimeError: as :meth:`reconstruct`.
        """
        self._require_eval_mode("predict")
        z = self._encoded(x, checked_generator(generator))
        x = checked_images(x, self.image, z)
        return self.likelihood.most_probable(x, self.decode(z)) / (self.image.levels - 1)

    def _encoded(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one z ~ q(z|x) an image, [B, D]."""
        parameters = self.encode(x)
        mean = parameters.mean
        noise = torch.randn(mean.shape, generator=generator, device=generator.device, dtype=mean.dtype)
        return self.transform_noise(noise.to(mean.device), parameters)[0]

    def _require_eval_mode(self, method: str) -> None:
        # In training mode this would not only mix the images of a batch but move the averages of the batch norms.
        if self.training:
            raise RuntimeError(f"{method} needs a model in eval mode, this one is in training mode: call model.eval()")
