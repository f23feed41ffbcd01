"""Typed records that cross a boundary between stages, to and from JSON.

``base`` what all have in common · ``run`` training · ``scores`` evaluation · ``trust`` when to believe a figure ·
``settling`` when to believe a bound · ``leaderboard`` a row a trial · ``table`` text for people. All figures are in
nats per image; smaller is better for ``negative_elbo`` and ``nll``.
"""

from iafsweep.records.base import METRIC, MODE, Record, with_stamp, without_stamp
from iafsweep.records.leaderboard import LeaderboardRow, TrialStatus
from iafsweep.records.run import Best, DeviceChoice, EpochMetrics, Precision, RunState, RunStatus
from iafsweep.records.scores import (
    FIGURE_NAMES,
    METHOD_NAMES,
    Estimate,
    Evaluation,
    Method,
    PairedDifference,
    Round,
    SandwichEstimate,
    Split,
    UntilErrorReport,
    on_most_images,
    sandwich_beside,
)
from iafsweep.records.table import TextTable

__all__ = [
    "FIGURE_NAMES",
    "METHOD_NAMES",
    "METRIC",
    "MODE",
    "Best",
    "DeviceChoice",
    "EpochMetrics",
    "Estimate",
    "Evaluation",
    "LeaderboardRow",
    "Method",
    "PairedDifference",
    "Precision",
    "Record",
    "Round",
    "RunState",
    "RunStatus",
    "SandwichEstimate",
    "Split",
    "TextTable",
    "TrialStatus",
    "UntilErrorReport",
    "on_most_images",
    "sandwich_beside",
    "with_stamp",
    "without_stamp",
]
