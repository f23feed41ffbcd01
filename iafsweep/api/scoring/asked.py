"""The evaluation settings that a command's options or a call's arguments ask for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from iafsweep.config import EvaluationConfig, HaisConfig, RunConfig
from iafsweep.config.files import build_config, with_values
from iafsweep.config.problems import explain
from iafsweep.errors import UserError
from iafsweep.records import FigureKind

_HAIS = re.compile(r"(posterior|prior|base)(?::(\d{1,7})x(\d{1,7})x(\d{1,7}))?")

# What suits one start does not suit another: a new start takes its own defaults.
_OF_THE_START = ("chains", "temperatures", "leapfrog_steps", "schedule", "target_acceptance")

_FIGURES: dict[str, set[FigureKind]] = {
    "importance_sampling": {"importance_sampling"},
    "hais": {"hais"},
    "sandwich": {"sandwich"},
    "bound_images": {"negative_elbo"},
    "until_error": {"importance_sampling", "hais"},
}
"""The kinds of figures that each part of [evaluation] affects; parts not listed here affect all."""


@dataclass(frozen=True)
class Asked:
    """Requested changes to the evaluation settings of a configuration.

    Attributes:
        samples: number of importance samples per image.
        hais: ``off``, or a start, optionally with temperatures x leapfrog steps x chains: ``prior:500x10x16``.
        images: number of test images for importance sampling and for HAIS, from the first on.
        sandwich: number of images, simulated from the model, on which to measure both bounds.
        until_error: nats that the estimator's error should fall below.
        settings: other fields of [evaluation] by their paths; None leaves a field unchanged.
    """

    samples: int | None = None
    hais: str | None = None
    images: int | None = None
    sandwich: int | None = None
    until_error: float | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, object]:
        """All requested values except ``hais``, by field path."""
        values = dict(self.settings) | {
            path: value
            for path, value in {
                "evaluation.importance_sampling.samples": self.samples,
                "evaluation.importance_sampling.images": self.images,
                "evaluation.hais.images": self.images,
                "evaluation.sandwich.images": self.sandwich,
                "evaluation.sandwich.enabled": None if self.sandwich is None else True,
                "evaluation.until_error.target": self.until_error,
            }.items()
            if value is not None
        }
        return {path: value for path, value in values.items() if value is not None}

    @property
    def figures(self) -> set[FigureKind]:
        """The kinds of figures that the request affects: these are measured again, other existing ones are kept."""
        found: set[FigureKind] = set() if self.hais is None else {"hais"}
        everything = set().union(*_FIGURES.values())
        return found.union(*(_FIGURES.get(path.split(".")[1], everything) for path in self.values))

    def of(self, base: RunConfig) -> EvaluationConfig:
        """Return the [evaluation] section of a configuration with the requested changes.

        Raises:
            UserError: a field outside [evaluation] is to change, or a rule is broken.
        """
        if other := [path for path in self.values if not path.startswith("evaluation.")]:
            raise UserError(
                f"{other[0]} cannot change when a trained model is scored; only fields of [evaluation] can, such as "
                f"`evaluation.seed`"
            )
        evaluation = base.evaluation
        if self.hais is not None:
            evaluation = evaluation.model_copy(update={"hais": with_hais(evaluation.hais, self.hais)})
        values = base.model_dump() | {"evaluation": evaluation.model_dump()}
        return build_config(with_values(values, self.values), "the evaluation settings").evaluation


def with_hais(config: HaisConfig, text: str) -> HaisConfig:
    """Return ``config`` changed as a text says: ``off``, a start (``prior``), or start and sizes (``prior:500x10x16``).

    Raises:
        UserError: the text is none of these.
    """
    if text == "off":
        return config.model_copy(update={"enabled": False})
    match = _HAIS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(
            f"hais {text!r} is not understood; use off, posterior, prior or base, optionally with temperatures x "
            f"leapfrog steps x chains, as in prior:500x10x16"
        )
    start, *sizes = match.groups()
    kept = config.model_dump(exclude=set(_OF_THE_START))
    changes: dict[str, Any] = {"enabled": True, "start": start}
    if sizes[0] is not None:
        changes |= dict(zip(("temperatures", "leapfrog_steps", "chains"), map(int, sizes), strict=True))
    try:
        return HaisConfig.model_validate(kept | changes)
    except ValidationError as error:
        raise explain(error, f"hais {text}") from None


def refuse_budget_alone(asked: Mapping[str, object], target: float | None) -> None:
    """Refuse a requested budget that has no search for a small error to limit.

    Raises:
        UserError: there is a budget but no target.
    """
    budgets = (asked.get(f"evaluation.until_error.budget_{each}") for each in ("seconds", "evaluations"))
    if target is None and any(budget is not None for budget in budgets):
        raise UserError(
            "a budget limits until_error, which is not set; add it, as in --until-error 0.02 (in Python "
            "until_error=0.02), or leave the budget out"
        )
