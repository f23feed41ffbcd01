"""Kinds and sizes of the networks. The defaults are the reference recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from iafsweep.config.family import Family, FamilyConfig, Member, MemberConfig
from iafsweep.config.section import Section
from iafsweep.config.sources import ImageFormat

Size = Annotated[int, Field(ge=1, lt=2**31)]
Sizes = Annotated[tuple[Size, ...], Strict(strict=False), Field(min_length=1, max_length=1000)]
SplineBound = Annotated[float, Field(ge=0.1, le=1000)]
"""Beyond these limits all bins lie far inside, or far wider than, the usual range of a latent variable."""


class ResnetEncoderConfig(MemberConfig):
    """Sizes of the `resnet` encoder."""

    maps: Size = Field(64, description="Feature maps in every block.")
    hidden_size: Size = Field(450, description="Width of the last hidden layer.")


class ResnetDecoderConfig(MemberConfig):
    """Sizes of the `resnet` decoder."""

    maps: Size = Field(64, description="Feature maps in every block.")


class GatedConvEncoderConfig(MemberConfig):
    """Sizes of the `gated_conv` encoder."""

    normalised = False
    maps: Size = Field(
        32, description="Feature maps of the first two gated convolutions; the next three have twice as many."
    )
    hidden_size: Size = Field(256, description="Width of the last hidden layer.")


class GatedConvDecoderConfig(MemberConfig):
    """Sizes of the `gated_conv` decoder."""

    normalised = False
    maps: Size = Field(
        32, description="Feature maps of the last four gated convolutions; the first two have twice as many."
    )


class MlpConfig(MemberConfig):
    """Sizes of the `mlp` encoder or decoder."""

    hidden_sizes: Sizes = Field((1000, 1000, 1000), description="Widths of the hidden layers.")


ENCODERS = Family(
    "model.encoder.kind",
    {
        "resnet": Member("iafsweep.models.encoders.resnet:ResnetEncoder", ResnetEncoderConfig),
        "gated_conv": Member("iafsweep.models.encoders.gated_conv:GatedConvEncoder", GatedConvEncoderConfig),
        "mlp": Member("iafsweep.models.encoders.mlp:MlpEncoder", MlpConfig),
    },
)
"""Every encoder, by the name configurations use."""


class EncoderConfig(FamilyConfig):
    """The encoder: its kind, and the sizes of each kind (only those of the chosen kind matter)."""

    family = ENCODERS
    kind: Annotated[str, ENCODERS] = Field("resnet", description="Which encoder.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of hidden units (in convolutions, of single outputs) dropped in training."
    )


class PixelCnnConfig(MemberConfig):
    """Sizes of the `pixelcnn` head."""

    normalised = False
    layers: Size = Field(4, le=1000, description="Number of gated masked convolutions, stacked.")
    maps: Size = Field(32, description="Feature maps of each convolution.")
    kernel: int = Field(
        5, ge=3, le=99, description="Odd kernel size: each convolution sees half of it above and to each side."
    )
    features: Size = Field(
        8, description="Feature maps that the decoder hands to the head, in place of the likelihood's parameters."
    )

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> PixelCnnConfig:
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {self.kernel}; take {self.kernel - 1} or {self.kernel + 1}")
        return self


HEADS = Family(
    "model.decoder.autoregressive.kind",
    {
        "off": Member("iafsweep.models.heads.off:Off"),
        "pixelcnn": Member("iafsweep.models.heads.pixelcnn:PixelCnn", PixelCnnConfig),
    },
)
"""Every autoregressive head, by the name configurations use."""


class AutoregressiveConfig(FamilyConfig):
    """How a pixel depends on those before it, given z: the kind of head, and the sizes of a kind that has any."""

    family = HEADS
    kind: Annotated[str, HEADS] = Field(
        "off",
        description="`off`: pixels are independent given z. `pixelcnn`: masked convolutions over the preceding pixels; "
        "a density takes one pass, a sample goes pixel by pixel.",
    )


DECODERS = Family(
    "model.decoder.kind",
    {
        "resnet": Member("iafsweep.models.decoders.resnet:ResnetDecoder", ResnetDecoderConfig),
        "gated_conv": Member("iafsweep.models.decoders.gated_conv:GatedConvDecoder", GatedConvDecoderConfig),
        "mlp": Member("iafsweep.models.decoders.mlp:MlpDecoder", MlpConfig),
    },
)
"""Every decoder, by the name configurations use."""


class DecoderConfig(FamilyConfig):
    """The decoder: its kind, and the sizes of each kind (only those of the chosen kind matter)."""

    family = DECODERS
    kind: Annotated[str, DECODERS] = Field("resnet", description="Which decoder.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of hidden units (in convolutions, of single outputs) dropped in training."
    )
    autoregressive: AutoregressiveConfig = Field(default_factory=AutoregressiveConfig)

    @property
    def is_autoregressive(self) -> bool:
        """Whether a pixel depends on those before it; leaderboards and reports mark such models."""
        return self.autoregressive.kind != "off"


class MadeConfig(Section):
    """The masked network (cMADE) in every step of an autoregressive flow (`iaf`, `naf`, `spline`)."""

    width: Size = Field(1920, description="Width of every hidden layer; at least latent_size - 1.")
    hidden_layers: Size = Field(2, le=1000, description="Number of hidden layers.")
    context_mode: Literal["add", "linear"] = Field(
        "add",
        description="How the context enters: `add` adds it after the first activation (context size = width), "
        "`linear` adds a linear map of it to the first pre-activation.",
    )
    batch_norm: bool = Field(
        default=True, description="Batch norm after every masked layer; in `naf` and `spline`, after all but the last."
    )


class SylvesterConfig(MemberConfig):
    """Sizes of the `sylvester` flow."""

    variant: Literal["orthogonal", "householder", "triangular"] = Field(
        "orthogonal",
        description="The columns of Q. `orthogonal`: M of D. `householder`: all D, of a product of reflections. "
        "`triangular`: the identity, with its columns reversed in every second step.",
    )
    columns: Size = Field(16, description="Columns M of Q in `orthogonal`; at most latent_size.")
    reflections: Size = Field(8, le=1000, description="Householder reflections in `householder`.")


class NafConfig(MemberConfig):
    """Sizes of the `naf` flow."""

    units: Size = Field(8, le=1000, description="Sigmoids in the increasing network of each latent variable.")


class SplineFlowConfig(MemberConfig):
    """Sizes of the `spline` flow."""

    bins: int = Field(8, ge=2, le=500, description="Bins of the spline of each latent variable.")
    bound: SplineBound = Field(
        5.0, description="B: a latent variable outside [-B, B] stays unchanged. Rounding moves one by up to B * 4e-7."
    )


@dataclass(frozen=True)
class FlowMember(Member):
    """An entry of the registry of flows.

    Attributes:
        masked: whether its steps have the masked network that ``model.flow.made`` describes.
        pushes_scores: whether its steps have ``push_score``, which the objectives `stl` and `dreg` need.
    """

    masked: bool = False
    pushes_scores: bool = False


FLOWS = Family(
    "model.flow.kind",
    {
        "iaf": FlowMember("iafsweep.models.flows.iaf:IAFStep", masked=True),
        "planar": FlowMember("iafsweep.models.flows.planar:PlanarStep", pushes_scores=True),
        "sylvester": FlowMember("iafsweep.models.flows.sylvester:SylvesterStep", SylvesterConfig, pushes_scores=True),
        "naf": FlowMember("iafsweep.models.flows.naf:NeuralAutoregressiveStep", NafConfig, masked=True),
        "spline": FlowMember("iafsweep.models.flows.spline:SplineStep", SplineFlowConfig, masked=True),
    },
)
"""The step of every flow, by the name configurations use."""


class FlowConfig(FamilyConfig):
    """The flow of the posterior: its kind, and the sizes of each kind (only those of the chosen kind matter)."""

    family = FLOWS
    kind: Annotated[str, FLOWS] = Field("iaf", description="Which flow; no effect at depth 0.")
    depth: int = Field(8, ge=0, le=1000, description="Number of steps; 0 is the plain Gaussian posterior.")
    gated: bool = Field(
        default=True, description="`iaf`: `true` for gated steps g*z + (1 - g)*m, `false` for shifts z + m."
    )
    context_size: Size | None = Field(
        None,
        description="Size of the context that the encoder hands to the flow; unset: the cMADE width, or 256 for a "
        "flow without cMADE.",
    )
    made: MadeConfig = MadeConfig()

    @property
    def pushes_scores(self) -> bool:
        """Whether d log q/dz at fixed parameters costs no more than a pass."""
        member = self.family.members[self.kind]
        return self.depth == 0 or member.absent or (isinstance(member, FlowMember) and member.pushes_scores)

    @property
    def resolved_context_size(self) -> int:
        """The context size, its default resolved."""
        default = 256 if self.depth > 0 and not self.has_made else self.made.width
        return default if self.context_size is None else self.context_size

    @property
    def has_made(self) -> bool:
        """Whether there are steps with the masked network that ``made`` describes."""
        member = self.family.members[self.kind]
        return self.depth > 0 and isinstance(member, FlowMember) and member.masked

    @model_validator(mode="after")
    def _context_fits(self) -> FlowConfig:
        if self.has_made and self.made.context_mode == "add" and self.resolved_context_size != self.made.width:
            raise ValueError(
                f"context_mode = 'add' needs context_size = made.width, got {self.context_size} and "
                f"{self.made.width}; leave context_size unset or take context_mode = 'linear'"
            )
        return self


class AutoregressivePriorConfig(MemberConfig):
    """Sizes of the `autoregressive` prior."""

    depth: Size = Field(
        4, le=1000, description="Number of affine masked layers; every second one uses the reversed order."
    )
    width: Size = Field(256, description="Width of every hidden layer; at least latent_size - 1.")
    hidden_layers: Size = Field(2, le=1000, description="Number of hidden layers of each masked network.")


class SplineCouplingPriorConfig(MemberConfig):
    """Sizes of the `spline_coupling` prior."""

    depth: Size = Field(4, le=1000, description="Number of coupling layers; four of them move each coordinate twice.")
    width: Size = Field(256, description="Width of every hidden layer.")
    hidden_layers: Size = Field(2, le=1000, description="Number of hidden layers of each network.")
    bins: int = Field(8, ge=2, le=500, description="Bins of each spline.")
    bound: SplineBound = Field(
        5.0, description="B: splines bend within [-B, B]. Rounding moves a latent variable by up to B * 4e-7."
    )


class VampPriorConfig(MemberConfig):
    """Sizes of the `vamp` prior."""

    components: Size = Field(500, description="Components, each with a learned input that is encoded in every step.")


PRIORS = Family(
    "model.prior.kind",
    {
        "standard_normal": Member("iafsweep.models.priors.standard_normal:StandardNormalPrior"),
        "autoregressive": Member(
            "iafsweep.models.priors.autoregressive:AutoregressivePrior", AutoregressivePriorConfig
        ),
        "spline_coupling": Member(
            "iafsweep.models.priors.spline_coupling:SplineCouplingPrior", SplineCouplingPriorConfig
        ),
        "vamp": Member("iafsweep.models.priors.vamp:VampPrior", VampPriorConfig),
    },
)
"""Every prior, by the name configurations use."""


class PriorConfig(FamilyConfig):
    """The prior of the latent variables: its kind, and the sizes of each kind (only those of the chosen one matter)."""

    family = PRIORS
    kind: Annotated[str, PRIORS] = Field(
        "standard_normal",
        description="`standard_normal`. `autoregressive`: one pass per density, latent_size passes per sample. "
        "`spline_coupling`: one pass for either. `vamp`: a mixture of posteriors; needs flow.depth = 0.",
    )


class MixtureConfig(MemberConfig):
    """Size of the `discretised_logistic_mixture` likelihood."""

    components: Size = Field(10, le=1000, description="Logistics in the mixture of each pixel.")


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
"""Likelihoods of the images' own levels, which need images that are not turned into bits."""


class LikelihoodConfig(FamilyConfig):
    """The likelihood p(x|z) of an image: its kind, and the sizes of a kind that has any."""

    family = LIKELIHOODS
    kind: Annotated[str, LIKELIHOODS] | None = Field(  # type: ignore[assignment]  # follows from the images
        None,
        description='`bernoulli` for bits; for images with more levels (`data.binarisation = "none"`), '
        "`discretised_logistic` or `discretised_logistic_mixture`, which give the probabilities of the levels. "
        "Unset: `bernoulli` for bits, else `discretised_logistic`.",
    )

    def resolved(self, image: ImageFormat) -> str:
        """Return the kind; its default depends on the format of the images."""
        return self.kind or ("bernoulli" if image.dimensions is None else "discretised_logistic")


class ModelConfig(Section):
    """A variational autoencoder with a flow in its posterior."""

    latent_size: Size = Field(64, description="Number of latent variables, D.")
    posterior_offset: float = Field(-3.0, description="Added to the log standard deviation that the encoder predicts.")
    batch_norm_momentum: float = Field(
        0.001, gt=0, le=1, description="Weight of the newest batch in the moving averages of batch norm."
    )
    normalisation: Literal["batch_norm", "weight_norm", "none"] = Field(
        "batch_norm",
        description="How encoder, decoder and masked networks are normalised: `batch_norm` in networks that have it, "
        "`weight_norm` in every layer, initialised from the first batch, or `none`.",
    )
    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)
    flow: FlowConfig = Field(default_factory=FlowConfig)
    likelihood: LikelihoodConfig = Field(default_factory=LikelihoodConfig)
    prior: PriorConfig = Field(default_factory=PriorConfig)

    @property
    def takes_batch_norm(self) -> bool:
        """Whether any part can have batch norm. The context map of a flow can, whatever the encoder."""
        networks = self.encoder.chosen, self.decoder.chosen
        return self.flow.depth > 0 or any(sizes is not None and sizes.normalised for sizes in networks)

    @property
    def has_batch_norm(self) -> bool:
        """Whether any part has batch norm."""
        return self.normalisation == "batch_norm" and self.takes_batch_norm

    @model_validator(mode="after")
    def _masks_can_be_complete(self) -> ModelConfig:
        if self.flow.has_made and self.flow.made.width < self.latent_size - 1:
            raise ValueError(
                f"flow.made.width = {self.flow.made.width} is too narrow for latent_size = {self.latent_size}: "
                f"complete autoregressive masks need a width of at least {self.latent_size - 1}"
            )
        return self

    @model_validator(mode="after")
    def _columns_are_there(self) -> ModelConfig:
        sizes = self.flow.chosen if self.flow.depth > 0 else None
        if not isinstance(sizes, SylvesterConfig) or sizes.variant != "orthogonal":
            return self
        if sizes.columns > self.latent_size:
            raise ValueError(
                f"flow.sylvester.columns = {sizes.columns} orthonormal columns do not fit into latent_size = "
                f"{self.latent_size}; take at most {self.latent_size}"
            )
        return self

    @model_validator(mode="after")
    def _prior_fits(self) -> ModelConfig:
        prior, size = self.prior, self.latent_size
        if prior.kind == "autoregressive" and (width := prior.section(AutoregressivePriorConfig).width) < size - 1:
            raise ValueError(
                f"prior.autoregressive.width = {width} is too narrow for latent_size = {size}: complete autoregressive "
                f"masks need a width of at least {size - 1}"
            )
        if prior.kind == "spline_coupling" and size == 1:
            raise ValueError(
                "prior.kind = 'spline_coupling' transforms one half of the latent variables given the other, and "
                "latent_size = 1 has no halves; take 'autoregressive'"
            )
        if prior.kind == "vamp" and self.flow.depth > 0:
            raise ValueError(
                f"prior.kind = 'vamp' needs the density of the posterior at any z, and with flow.depth = "
                f"{self.flow.depth} that takes the inverse of each step of the flow for each component; set "
                f"flow.depth = 0, or take 'autoregressive'"
            )
        sizes = self.encoder.chosen
        if prior.kind == "vamp" and self.normalisation == "batch_norm" and (sizes is None or sizes.normalised):
            raise ValueError(
                f"prior.kind = 'vamp' encodes learned inputs together with the images, and batch norm would mix the "
                f"statistics of both; set normalisation = 'weight_norm' (or 'none'), or take encoder.kind = "
                f"'gated_conv' in place of '{self.encoder.kind}'"
            )
        return self
