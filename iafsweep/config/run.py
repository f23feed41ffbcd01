"""The whole configuration of one run, and the rules that hold between its sections."""

from __future__ import annotations

from pydantic import Field, model_validator

from iafsweep.config.data import DataConfig
from iafsweep.config.evaluation import EvaluationConfig
from iafsweep.config.model import ModelConfig
from iafsweep.config.section import Section
from iafsweep.config.training import TrainingConfig


class RunConfig(Section):
    """One configuration: what to train, on what, how, and how to score it."""

    title: str = Field("", description="What this configuration is, in a line; shown, never computed with.")
    data: DataConfig = DataConfig()
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def published(self) -> RunConfig:
        """The same without what is private of this machine: for trackers, and for who is given the model."""
        return self.model_copy(update={"data": self.data.model_copy(update={"path": None})})

    @property
    def has_lagging_averages(self) -> bool:
        """Whether the moving averages of batch norm count; averaged weights have statistics of their own."""
        return self.model.has_batch_norm and not self.training.weight_average

    @model_validator(mode="after")
    def _sections_agree(self) -> RunConfig:
        if self.evaluation.checkpoint == "best" and self.data.validation_images == 0:
            raise ValueError(
                "evaluation.checkpoint = 'best' is chosen by validation images, but data.validation_images = 0; "
                "set evaluation.checkpoint = 'last' or hold out validation images"
            )
        if self.data.is_known and self.training.batch_size > self.data.training_images:
            raise ValueError(
                f"training.batch_size = {self.training.batch_size} is more than the {self.data.training_images:,} "
                f"training images; take a smaller batch"
            )
        if self.training.early_stopping_epochs is not None and self.data.held_out == 0:
            raise ValueError(
                "training.early_stopping_epochs looks at the validation bound, but data.validation_images = 0; hold "
                "validation images out or leave it unset"
            )
        if self.training.objective in ("dreg", "stl") and not self.model.flow.pushes_scores:
            raise ValueError(
                f"training.objective = '{self.training.objective}' needs the gradient of log q(z|x) in z at fixed "
                f"parameters, which costs latent_size passes a step with this flow; take model.flow.depth = 0, "
                f"model.flow.kind = 'planar' or 'sylvester', or training.objective = 'iwae' or 'elbo'"
            )
        return self

    @model_validator(mode="after")
    def _images_can_be_halved_twice(self) -> RunConfig:
        if not self.data.is_known:
            return self
        _, height, width = self.data.facts.image_shape
        kinds = {self.model.encoder.kind, self.model.decoder.kind} & {"resnet", "gated_conv"}
        if kinds and (height % 4 or width % 4):
            raise ValueError(
                f"{' and '.join(sorted(kinds))} halve the image twice, so height and width must be multiples of 4; "
                f"{self.data.called} is {height}x{width}; take kind = 'mlp'"
            )
        return self

    @model_validator(mode="after")
    def _enough_images(self) -> RunConfig:
        if not self.data.is_known:
            return self
        available, bound = self.data.facts.test_images, self.evaluation.bound_images
        largest = max(available, self.data.training_images, self.data.held_out)
        if bound is not None and bound > largest:
            raise ValueError(
                f"evaluation.bound_images = {bound:,} is more than any split of {self.data.called} has "
                f"(at most {largest:,}); ask for fewer, or leave it unset for all"
            )
        asked = {
            "evaluation.importance_sampling.images": self.evaluation.importance_sampling.images,
            "evaluation.hais.images": self.evaluation.hais.images,
        }
        for key, count in asked.items():
            if count is not None and count > available:
                raise ValueError(
                    f"{key} = {count:,} is more than the {available:,} test images of {self.data.called}; ask for fewer"
                )
        return self
