"""Models of equal size in other packages: pythae's VAE_IAF; masked autoregressive flows of zuko and nflows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from iafsweep.config import ModelConfig
from iafsweep.models import VAE

Apply = Callable[[Tensor, Tensor], Tensor]
"""A flow: (z [B, D], context [B, C]) to z' [B, D]."""


class MissingPeerError(Exception):
    """A package is not installed or cannot be imported."""


def pythae_model(config: ModelConfig, model: VAE) -> Any:  # noqa: ANN401 - pythae has no types
    """Return pythae's VAE_IAF around the networks of ``model``, with its own flow of the same depth and width.

    That flow uses ReLU and has no context, gates or batch norm; the model has no context map.

    Raises:
        MissingPeerError: pythae is missing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pythae.models import VAE_IAF, VAE_IAF_Config
            from pythae.models.base.base_utils import ModelOutput
            from pythae.models.nn import BaseDecoder, BaseEncoder
    except ImportError as error:
        raise MissingPeerError(f"pythae: {error}") from error

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = model.encoder

        def forward(self, x: Tensor) -> object:
            output = self.network(x)
            log_std = output.log_std + config.posterior_offset
            return ModelOutput(embedding=output.mean, log_covariance=2 * log_std)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = model.decoder

        def forward(self, z: Tensor) -> object:
            return ModelOutput(reconstruction=self.network(z).sigmoid())

    settings = VAE_IAF_Config(
        input_dim=model.image_shape,
        latent_dim=model.latent_size,
        reconstruction_loss="bce",
        n_made_blocks=config.flow.depth,
        n_hidden_in_made=config.flow.made.hidden_layers,
        hidden_size=config.flow.made.width,
    )
    return VAE_IAF(settings, encoder=Encoder(), decoder=Decoder())


def zuko_flow(latent_size: int, context_size: int, width: int, depth: int, device: torch.device) -> Apply:
    """Return zuko's masked autoregressive transforms, applied in the direction that takes one pass.

    Raises:
        MissingPeerError: zuko is missing.
    """
    try:
        from zuko.flows import MaskedAutoregressiveTransform
    except ImportError as error:
        raise MissingPeerError(f"zuko: {error}") from error
    steps = [
        MaskedAutoregressiveTransform(latent_size, context_size, hidden_features=(width, width)) for _ in range(depth)
    ]
    return _chain(steps, lambda step, z, context: step(context).call_and_ladj(z), device)


def nflows_flow(latent_size: int, context_size: int, width: int, depth: int, device: torch.device) -> Apply:
    """Return nflows' masked affine autoregressive transforms, applied in the direction that takes one pass.

    Raises:
        MissingPeerError: nflows is missing.
    """
    try:
        from nflows.transforms import MaskedAffineAutoregressiveTransform
    except ImportError as error:
        raise MissingPeerError(f"nflows: {error}") from error
    steps = [
        MaskedAffineAutoregressiveTransform(
            latent_size, width, context_features=context_size, num_blocks=2, use_residual_blocks=False
        )
        for _ in range(depth)
    ]
    return _chain(steps, lambda step, z, context: step(z, context), device)


def _chain(
    steps: list[nn.Module], call: Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]], device: torch.device
) -> Apply:
    """Return a function that applies steps in turn, without gradients; ``call`` gives z' and log-determinant of one."""
    for step in steps:
        step.to(device).requires_grad_(requires_grad=False)

    def apply(z: Tensor, context: Tensor) -> Tensor:
        for step in steps:
            z, _ = call(step, z, context)
        return z

    return apply
