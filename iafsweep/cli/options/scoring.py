"""How trials and runs are scored: `--hais`, `--until-error` and its budget."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from iafsweep.config import HaisConfig
from iafsweep.config.problems import explain
from iafsweep.errors import UserError

_TEXT = re.compile(r"(posterior|prior|base)(?::(\d{1,7})x(\d{1,7})x(\d{1,7}))?")

# What suits one start does not suit another: a new start takes its own defaults.
_OF_THE_START = ("chains", "temperatures", "leapfrog_steps", "schedule", "target_acceptance")


def with_hais(config: HaisConfig, text: str) -> HaisConfig:
    """Return ``config`` as ``--hais`` asks: ``off``, ``prior``, or ``prior:500x10x16``.

    Raises:
        UserError: the text is none of these.
    """
    if text == "off":
        return config.model_copy(update={"enabled": False})
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UserError(
            f"--hais {text!r} is not understood; write off, posterior, prior or base, perhaps with temperatures x "
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
        raise explain(error, f"--hais {text}") from None


@dataclass(frozen=True)
class UntilError:
    """An error to reach, and what that may cost."""

    until_error: Annotated[
        float | None,
        typer.Option(
            help="Add samples (IS) or temperatures (HAIS) until the estimator's standard error and the difference "
            "between all and half of them are below so many nats."
        ),
    ] = None
    budget_seconds: Annotated[
        float | None,
        typer.Option(help="With --until-error: seconds of computing a figure may cost, added up over shards."),
    ] = None
    budget_evaluations: Annotated[
        int | None, typer.Option(help="With --until-error: evaluations an image a figure may cost; default 100,000.")
    ] = None

    @property
    def changes(self) -> dict[str, object]:
        """The options as values by configuration path; None where one was not given."""
        return {
            "evaluation.until_error.target": self.until_error,
            "evaluation.until_error.budget_seconds": self.budget_seconds,
            "evaluation.until_error.budget_evaluations": self.budget_evaluations,
        }


def refuse_budget_alone(asked: dict[str, object], target: float | None) -> None:
    """See that a budget asked for has something to limit.

    Raises:
        UserError: there is a budget and no target.
    """
    budgets = (asked.get(f"evaluation.until_error.budget_{each}") for each in ("seconds", "evaluations"))
    if target is None and any(budget is not None for budget in budgets):
        raise UserError(
            "a budget limits --until-error, which is not given; add it, as in --until-error 0.02, or leave the budget "
            "out"
        )
