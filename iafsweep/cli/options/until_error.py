"""The options that let scoring go on until a figure is exact enough, for both command lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from iafsweep.errors import UserError

UntilError = Annotated[
    float | None,
    typer.Option(
        help="Add samples (IS) or temperatures (HAIS) until the estimator's standard error and the difference between "
        "all and half of them are below so many nats."
    ),
]

BudgetSeconds = Annotated[
    float | None, typer.Option(help="With --until-error: seconds of computing a figure may cost, added up over shards.")
]

BudgetEvaluations = Annotated[
    int | None,
    typer.Option(help="With --until-error: evaluations an image a figure may cost; default 100,000."),
]

_BUDGETS = ("evaluation.until_error.budget_seconds", "evaluation.until_error.budget_evaluations")


def refuse_budget_alone(asked: Mapping[str, object], target: float | None) -> None:
    """See that a budget asked for has something to limit.

    Args:
        asked: what :func:`until_error_changes` returned.
        target: the error asked for, with what the configuration says.

    Raises:
        UserError: there is a budget and no target.
    """
    if target is None and any(asked.get(budget) is not None for budget in _BUDGETS):
        raise UserError("a budget limits --until-error, which is not given; add it, or leave the budget out")


def until_error_changes(
    until_error: float | None, budget_seconds: float | None, budget_evaluations: int | None
) -> dict[str, object]:
    """Return the options as values by configuration path; None where one was not given."""
    return {
        "evaluation.until_error.target": until_error,
        "evaluation.until_error.budget_seconds": budget_seconds,
        "evaluation.until_error.budget_evaluations": budget_evaluations,
    }
