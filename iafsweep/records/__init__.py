"""Typed records that cross a boundary between stages, to and from JSON.

``base`` the base class · ``bits`` nats as bits per dimension · ``beside`` details shown with a figure ·
``latents`` how much the latent variables carry · ``run`` training · ``scores`` evaluation ·
``trust`` when to believe a figure or a bound · ``leaderboard`` one row per trial, and table cells. All figures are in
nats per image; smaller is better for ``negative_elbo`` and ``nll``.
"""

from iafsweep.records.base import METRIC, MODE, Record, with_stamp, without_stamp
from iafsweep.records.beside import AUTOREGRESSIVE, details_of, details_text
from iafsweep.records.bits import bits_per_dim, bits_text, nats_text
from iafsweep.records.latents import Latents
from iafsweep.records.leaderboard import (
    Figure,
    FigureCell,
    LeaderboardRow,
    Retrained,
    ShareCell,
    TextTable,
    TrialStatus,
    WinnersCurse,
)
from iafsweep.records.run import Best, DeviceChoice, EpochMetrics, Precision, RunState, RunStatus, TrainingFacts
from iafsweep.records.scores import (
    FIGURE_NAMES,
    METHOD_NAMES,
    Estimate,
    Evaluation,
    FigureKind,
    Fingerprint,
    Method,
    PairedDifference,
    Round,
    SandwichEstimate,
    Split,
    UntilErrorReport,
    sandwich_beside,
    shown_figures,
)

__all__ = [
    "AUTOREGRESSIVE", "FIGURE_NAMES", "METHOD_NAMES", "METRIC", "MODE", "Best", "DeviceChoice", "EpochMetrics",
    "Estimate", "Evaluation", "Figure", "FigureCell", "FigureKind", "Fingerprint", "Latents", "LeaderboardRow",
    "Method", "PairedDifference", "Precision", "Record", "Retrained", "Round", "RunState", "RunStatus",
    "SandwichEstimate", "ShareCell", "Split", "TextTable", "TrainingFacts", "TrialStatus", "UntilErrorReport",
    "WinnersCurse", "bits_per_dim", "bits_text", "details_of", "details_text", "nats_text", "sandwich_beside",
    "shown_figures", "with_stamp", "without_stamp",
]  # fmt: skip
