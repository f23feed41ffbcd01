"""The options that let scoring go on until a figure is exact enough, for both command lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from iafsweep.errors import UserError


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
        int | None,
        typer.Option(help="With --until-error: evaluations an image a figure may cost; default 100,000."),
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

    Args:
        asked: :attr:`UntilError.changes`, perhaps among others.
        target: the error asked for, with what the configuration says.

    Raises:
        UserError: there is a budget and no target.
    """
    budgets = (asked.get(f"evaluation.until_error.budget_{each}") for each in ("seconds", "evaluations"))
    if target is None and any(budget is not None for budget in budgets):
        raise UserError("a budget limits --until-error, which is not given; add it, or leave the budget out")
