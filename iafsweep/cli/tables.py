"""Tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from iafsweep.records import Estimate


def figures_table(estimates: Sequence[Estimate]) -> Table:
    """Return the figures of a run, a row each; nats per image, smaller is better."""
    table = Table(
        title="nats per image, smaller is better; ± standard error over images",
        caption="estimator: standard error from the estimator's own randomness",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for heading in ("figure", "images"):
        table.add_column(heading, no_wrap=True)
    for heading in ("nats", "estimator", "untrusted"):
        table.add_column(heading, justify="right", no_wrap=True)
    for estimate in estimates:
        table.add_row(
            _name(estimate),
            f"{estimate.split} {estimate.images:,}",
            f"{estimate.nll:.2f} ± {estimate.standard_error:.2f}",
            _text(estimate.estimator_error, ".3f"),
            _text(estimate.untrusted_share, ".0%"),
        )
    return table


def _name(estimate: Estimate) -> str:
    if estimate.method == "negative_elbo":
        return "negative ELBO"
    return f"{'IS' if estimate.method == 'importance_sampling' else 'HAIS'}, {estimate.settings}"


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
