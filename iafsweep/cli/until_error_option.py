"""The options that let scoring go on until a figure is exact enough, for both command lines."""

from __future__ import annotations

from typing import Annotated

import typer

UntilError = Annotated[
    float | None,
    typer.Option(
        help="Add samples (IS) or temperatures (HAIS) until the estimator's standard error and the difference between "
        "all and half of the effort are below so many nats."
    ),
]
BudgetSeconds = Annotated[
    float | None, typer.Option(help="With --until-error: seconds of computing a figure may cost, added up over shards.")
]
BudgetEvaluations = Annotated[
    int | None,
    typer.Option(help="With --until-error: evaluations an image a figure may cost; default 100,000."),
]


def until_error_changes(
    until_error: float | None, budget_seconds: float | None, budget_evaluations: int | None
) -> dict[str, object]:
    """Return the options as values by configuration path; None where one was not given."""
    return {
        "evaluation.until_error.target": until_error,
        "evaluation.until_error.budget_seconds": budget_seconds,
        "evaluation.until_error.budget_evaluations": budget_evaluations,
    }
