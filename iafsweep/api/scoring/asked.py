"""What a model, or the best of a sweep, is to be scored with: options of a command and arguments alike."""

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
"""The figures that a part of [evaluation] is about; others are about all."""


@dataclass(frozen=True)
class Asked:
    """What is asked for beside what a configuration says.

    Attributes:
        samples: importance samples an image.
        hais: ``off``, or a start, perhaps with temperatures x leapfrog steps x chains: ``prior:500x10x16``.
        images: the first so many test images, of importance sampling and of HAIS.
        sandwich: images simulated from the model to measure both bounds on.
        until_error: nats that the estimator's error is to come below.
        settings: other fields of [evaluation] by their paths; those that are None are not asked for.
    """

    samples: int | None = None
    hais: str | None = None
    images: int | None = None
    sandwich: int | None = None
    until_error: float | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, object]:
        """All but ``hais`` by the paths of fields."""
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
        """The figures that something is asked of: these are made, of others those that are there are kept."""
        found: set[FigureKind] = set() if self.hais is None else {"hais"}
        everything = set().union(*_FIGURES.values())
        return found.union(*(_FIGURES.get(path.split(".")[1], everything) for path in self.values))

    def of(self, base: RunConfig) -> EvaluationConfig:
        """Return the evaluation of a configuration with what is asked for.

        Raises:
            UserError: something else than [evaluation] is asked for, or a rule is broken.
        """
        if other := [path for path in self.values if not path.startswith("evaluation.")]:
            raise UserError(
                f"{other[0]} cannot change where a trained model is scored; [evaluation] alone can: `evaluation.seed`, "
                f"say"
            )
        evaluation = base.evaluation
        if self.hais is not None:
            evaluation = evaluation.model_copy(update={"hais": with_hais(evaluation.hais, self.hais)})
        values = base.model_dump() | {"evaluation": evaluation.model_dump()}
        return build_config(with_values(values, self.values), "what is to be scored").evaluation


def with_hais(config: HaisConfig, text: str) -> HaisConfig:
    """Return ``config`` as a text asks: ``off``, ``prior``, or ``prior:500x10x16``.

    Raises:
        UserError: the text is none of these.
    """
    if text == "off":
        return config.model_copy(update={"enabled": False})
    match = _HAIS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(
            f"hais {text!r} is not understood; write off, posterior, prior or base, perhaps with temperatures x "
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
    """See that a budget asked for has something to limit.

    Raises:
        UserError: there is a budget and no target.
    """
    budgets = (asked.get(f"evaluation.until_error.budget_{each}") for each in ("seconds", "evaluations"))
    if target is None and any(budget is not None for budget in budgets):
        raise UserError(
            "a budget limits until_error, which is not asked for; add it, as in --until-error 0.02 (in Python "
            "until_error=0.02), or leave the budget out"
        )
