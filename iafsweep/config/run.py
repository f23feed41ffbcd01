"""The sections of a run's configuration, and the rules between them. ``files`` builds configurations."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from iafsweep.config.data import DataConfig
from iafsweep.config.evaluation import EvaluationConfig
from iafsweep.config.model import OF_LEVELS, ModelConfig
from iafsweep.config.section import Section
from iafsweep.config.sources import ImageFormat
from iafsweep.config.training import TrainingConfig


class RunSections(Section):
    """The sections of a configuration: what to train, on what, how, and how to score it."""

    title: str = Field("", description="What this configuration is, in one line; shown, but never used otherwise.")
    data: DataConfig = DataConfig()
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @property
    def image_format(self) -> ImageFormat:
        """The format of the images that the model sees."""
        return self.data.image_format

    @property
    def likelihood(self) -> str:
        """The kind of likelihood, its default resolved; the default is that of bits until the images have been read."""
        chosen = self.model.likelihood
        return chosen.resolved(self.image_format) if self.data.is_known else chosen.kind or "bernoulli"

    @property
    def published(self) -> Self:
        """The same without what is private to this machine, for trackers, reports and exported models."""
        return self.model_copy(update={"data": self.data.model_copy(update={"path": None})})

    @property
    def has_lagging_averages(self) -> bool:
        """Whether batch norm's moving averages are used; averaged weights have statistics of their own."""
        return self.model.has_batch_norm and not self.training.weight_average

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
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
        if self.training.early_stopping_epochs is not None and self.data.validation_images == 0:
            raise ValueError(
                "training.early_stopping_epochs looks at the validation bound, but data.validation_images = 0; hold "
                "validation images out or leave it unset"
            )
        if self.training.objective in ("dreg", "stl") and not self.model.flow.pushes_scores:
            raise ValueError(
                f"training.objective = '{self.training.objective}' needs the gradient of log q(z|x) in z at fixed "
                f"parameters, which costs latent_size passes per step with this flow; take model.flow.depth = 0, "
                f"model.flow.kind = 'planar' or 'sylvester', or training.objective = 'iwae' or 'elbo'"
            )
        return self

    @model_validator(mode="after")
    def _likelihood_fits_the_images(self) -> Self:
        if not self.data.is_known:
            return self
        binarisation, kind = self.data.resolved_binarisation, self.likelihood
        if kind == "bernoulli" and self.image_format.dimensions is not None:
            raise ValueError(
                f"model.likelihood.kind = 'bernoulli' is for bits, but with data.binarisation = 'none' the images of "
                f"{self.data.called} have {self.image_format.levels} levels; take model.likelihood.kind = "
                f"'discretised_logistic', or data.binarisation = 'dynamic'"
            )
        if kind in OF_LEVELS and binarisation != "none":
            raise ValueError(
                f"model.likelihood.kind = '{kind}' is for the images' own levels, but data.binarisation = "
                f"'{binarisation}' turns them into bits; set data.binarisation = 'none', or take 'bernoulli'"
            )
        if self.evaluation.binarisations > 1 and not self.data.draws_bits:
            raise ValueError(
                f"evaluation.binarisations = {self.evaluation.binarisations} averages over bits drawn several times, "
                f"and data.binarisation = '{binarisation}' draws none; leave it at 1"
            )
        return self

    @model_validator(mode="after")
    def _enough_images(self) -> Self:
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
