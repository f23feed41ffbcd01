"""Sizes and kinds of the networks; the defaults are the reference recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from iafsweep.config.likelihood import LikelihoodConfig
from iafsweep.config.section import Section

Size = Annotated[int, Field(ge=1, lt=2**31)]
Sizes = Annotated[tuple[Size, ...], Strict(strict=False), Field(min_length=1, max_length=1000)]


class ResnetEncoderConfig(Section):
    """Sizes of the `resnet` encoder."""

    maps: Size = Field(64, description="Convolution maps of every block.")
    hidden_size: Size = Field(450, description="Width of the last hidden layer.")


class ResnetDecoderConfig(Section):
    """Sizes of the `resnet` decoder."""

    maps: Size = Field(64, description="Convolution maps of every block.")


class GatedConvEncoderConfig(Section):
    """Sizes of the `gated_conv` encoder."""

    maps: Size = Field(32, description="Maps of the first two gated convolutions; the next three have twice as many.")
    hidden_size: Size = Field(256, description="Width of the last hidden layer.")


class GatedConvDecoderConfig(Section):
    """Sizes of the `gated_conv` decoder."""

    maps: Size = Field(32, description="Maps of the last four gated convolutions; the first two have twice as many.")


class MlpConfig(Section):
    """Sizes of the `mlp` encoder or decoder."""

    hidden_sizes: Sizes = Field((1000, 1000, 1000), description="Widths of the hidden layers.")


class EncoderConfig(Section):
    """The encoder: its kind, and the sizes of each kind (only those of the chosen kind matter)."""

    kind: Literal["resnet", "gated_conv", "mlp"] = Field("resnet", description="`resnet`, `gated_conv` or `mlp`.")
    resnet: ResnetEncoderConfig = ResnetEncoderConfig()
    gated_conv: GatedConvEncoderConfig = GatedConvEncoderConfig()
    mlp: MlpConfig = MlpConfig()


class DecoderConfig(Section):
    """The decoder: its kind, and the sizes of each kind (only those of the chosen kind matter)."""

    kind: Literal["resnet", "gated_conv", "mlp"] = Field("resnet", description="`resnet`, `gated_conv` or `mlp`.")
    resnet: ResnetDecoderConfig = ResnetDecoderConfig()
    gated_conv: GatedConvDecoderConfig = GatedConvDecoderConfig()
    mlp: MlpConfig = MlpConfig()


class MadeConfig(Section):
    """The masked network (cMADE) inside every IAF step."""

    width: Size = Field(1920, description="Width of every hidden layer; at least latent_size - 1.")
    hidden_layers: Size = Field(2, le=1000, description="Number of hidden layers.")
    context_mode: Literal["add", "linear"] = Field(
        "add",
        description="How the context enters: `add` after the first activation (context size = width), "
        "`linear` through a linear map into the first pre-activation.",
    )
    batch_norm: bool = Field(default=True, description="Batch norm after every masked layer.")


class FlowConfig(Section):
    """The inverse autoregressive flow of the posterior."""

    depth: int = Field(8, ge=0, le=1000, description="Number of IAF steps; 0 is the plain Gaussian posterior.")
    gated: bool = Field(default=True, description="Gated steps g*z + (1 - g)*m; false: shift only, z + m.")
    context_size: Size | None = Field(
        None, description="Size of the context the encoder hands to the flow; unset: the cMADE width."
    )
    made: MadeConfig = MadeConfig()

    @property
    def resolved_context_size(self) -> int:
        """The context size with its default, the cMADE width, resolved."""
        return self.made.width if self.context_size is None else self.context_size

    @model_validator(mode="after")
    def _context_fits(self) -> FlowConfig:
        if self.depth > 0 and self.made.context_mode == "add" and self.resolved_context_size != self.made.width:
            raise ValueError(
                f"context_mode = 'add' needs context_size = made.width, got {self.context_size} and "
                f"{self.made.width}; leave context_size unset or take context_mode = 'linear'"
            )
        return self


class ModelConfig(Section):
    """A variational autoencoder with an IAF posterior."""

    latent_size: Size = Field(64, description="Number of latent variables D.")
    posterior_offset: float = Field(-3.0, description="Added to the predicted log standard deviation.")
    batch_norm_momentum: float = Field(
        0.001, gt=0, le=1, description="Weight of the newest batch in the moving averages of batch norm."
    )
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    flow: FlowConfig = FlowConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()

    @property
    def has_batch_norm(self) -> bool:
        """Whether any part has batch norm: the context map of a flow has it whatever the encoder is."""
        return self.flow.depth > 0 or not self.encoder.kind == self.decoder.kind == "gated_conv"

    @model_validator(mode="after")
    def _masks_can_be_complete(self) -> ModelConfig:
        if self.flow.depth > 0 and self.flow.made.width < self.latent_size - 1:
            raise ValueError(
                f"flow.made.width = {self.flow.made.width} is too narrow for latent_size = {self.latent_size}: "
                f"complete autoregressive masks need a width of at least {self.latent_size - 1}"
            )
        return self
