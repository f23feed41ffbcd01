"""How trials and runs are scored: `--until-error` and its budget."""

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class UntilError:
    """An estimator error to reach, and the budget for it."""

    until_error: Annotated[
        float | None,
        typer.Option(
            help="Add samples (IS) or temperatures (HAIS) until the estimator's standard error and the difference "
            "between all and half of them are below this many nats."
        ),
    ] = None
    budget_seconds: Annotated[
        float | None,
        typer.Option(help="With --until-error: maximum seconds of computation per figure, summed over shards."),
    ] = None
    budget_evaluations: Annotated[
        int | None,
        typer.Option(help="With --until-error: maximum network evaluations per image and figure; default: 100,000."),
    ] = None

    @property
    def changes(self) -> dict[str, object]:
        """The options by configuration path; None for one that was not given."""
        return {
            "evaluation.until_error.target": self.until_error,
            "evaluation.until_error.budget_seconds": self.budget_seconds,
            "evaluation.until_error.budget_evaluations": self.budget_evaluations,
        }
