"""How trials and runs are scored: `--hais`, `--until-error` and its budget."""

from dataclasses import dataclass
from typing import Annotated

import typer


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
