"""The top of the page: how the sweep stands, the best trial, and whether its figures can be trusted."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from iafsweep.leaderboard import doubts
from iafsweep.records import Estimate, Figure, LeaderboardRow, TrialStatus
from iafsweep.records.trust import Level
from iafsweep.report.findings import Findings
from iafsweep.report.markup import Markup, element
from iafsweep.report.parts import legend, pill, trial_button
from iafsweep.report.private import shareable
from iafsweep.report.scored import METHODS, number, test_estimates
from iafsweep.report.searched import names
from iafsweep.report.verdict import verdict_of, verdict_of_trial
from iafsweep.results.status import Status
from iafsweep.search_space.space import SearchSpace
from iafsweep.sweep.samplers.base import why_exhausted
from iafsweep.texts import duration, readable_settings, value_text

_MOST_NAMED = 8


def how_it_stands(stands: Status, space: SearchSpace, began: bool) -> tuple[Level, str, str]:
    """Return how the sweep stands: how good that is, in a word, and in a sentence.

    Args:
        stands: from its folder.
        space: its search space.
        began: whether any trial was proposed.
    """
    left = stands.trials - stands.ended
    if stands.driver is not None:
        scoring = "" if left else " Its trials are trained; the best are being scored."
        return "unknown", "running", f"A driver is at work, so this is how it stood when the report was made.{scoring}"
    unscored = _unscored(stands)
    if stands.was_killed:
        how = f"; {left:,} trials are left. Resume goes on with them." if left else ", behind its last trial."
        return "doubtful", "killed", f"Its driver ended without a word{how}{unscored}"
    if stands.ended_as is None:
        word = "not begun" if not began else "unfinished"
        return "doubtful", word, "No driver has said how it ended."
    outcome, reason = stands.ended_as.outcome, shareable(stands.ended_as.reason)
    because = f": {reason}" if reason else ""
    if outcome == "completed":
        return "doubtful" if unscored else "good", outcome, f"All trials have ended.{unscored}"
    if outcome == "exhausted":
        return "doubtful" if unscored else "good", outcome, f"{why_exhausted(space)}{unscored}"
    if outcome == "aborted":
        return "bad", "aborted", f"It was ended{because}. {left:,} trials are left.{unscored}"
    if not left:
        return "doubtful", outcome, f"It ended behind its last trial{because}.{unscored}"
    how = f"{left:,} trials are left; resume goes on."
    return "doubtful", outcome, f"It ended before its last trial{because}. {how}{unscored}"


def _unscored(stands: Status) -> str:
    """A sentence on the finalists without figures; empty where there are none."""
    if not stands.unscored:
        return ""
    some = ", ".join(stands.unscored) if len(stands.unscored) <= _MOST_NAMED else f"{len(stands.unscored):,}"
    return f" Not scored of the best: {some}; rerun does it."


def headline(found: Findings) -> Markup:
    """Return the best trial with its figures, and how many trials ended in which way."""
    best = found.best
    card = _best_card(found, best) if best is not None else _nothing_card(found)
    return element("section", element("h2", "The result"), card, _counts(found), id="result")


def _best_card(found: Findings, best: LeaderboardRow) -> Markup:
    evaluation = found.evaluations.get(best.trial)
    verdict = verdict_of_trial(evaluation, found.show)
    short = names(found.space)
    settings = [
        element("div", element("dt", shareable(short.get(path, path))), element("dd", shareable(value_text(value))))
        for path, value in best.parameters.items()
    ]
    left = element(
        "div",
        element("p", "Best by the validation bound, which alone ranks trials", class_="soft"),
        element(
            "p", "Trial ", trial_button(best.trial), pill(verdict.level, f"test NLL {verdict.short}"), class_="big"
        ),
        element("p", verdict.text, class_="verdict"),
        *(element("p", doubt, class_="verdict") for doubt in doubts([best])),
        element("dl", settings, class_="settings"),
    )
    tiles = [_tile("validation −ELBO", number(best.validation_negative_elbo), None, _validation_foot(best))]
    estimates = {} if evaluation is None else test_estimates(evaluation, found.show)
    beside = best.nll_importance_sampling_on_hais_images
    tiles += [
        _estimate_tile(name, estimates[method], beside if method == "hais" else None)
        for method, name in METHODS.items()
        if method in estimates
    ]
    if not estimates:
        tiles.append(_tile("test NLL", "–", None, ["not scored on test images"]))
    if best.retrained is not None and (sampled := best.retrained.nll_importance_sampling) is not None:
        foot = [
            *_bits(sampled.bits_per_dim),
            f"mean over {sampled.seeds} seeds, ± one seed's standard deviation",
            f"{sampled.images or 0:,} images",
            f"{sampled.samples or 0:,} samples",
        ]
        tiles.append(_tile("retrained test NLL, IS", number(sampled.value), sampled.error, foot))
    return element("div", left, element("div", tiles, class_="tiles"), class_="card headline")


def _validation_foot(best: LeaderboardRow) -> list[str | Markup]:
    return [
        *_bits(best.validation_bits_per_dim),
        f"{best.validation_images or 0:,} images",
        f"epoch {best.best_epoch} of {best.epochs}",
    ]


def _bits(bits_per_dim: float | None) -> list[str]:
    """Bits per dimension, for the foot of a tile; nothing of images that are bits."""
    return [] if bits_per_dim is None else [f"{bits_per_dim:.3f} bits/dim"]


def _estimate_tile(name: str, estimate: Estimate, sampled: Figure | None) -> Markup:
    """A figure; with that of importance sampling on the very same images, where there is one to compare it with."""
    verdict = verdict_of(estimate)
    foot: list[str | Markup] = [
        *_bits(estimate.bits_per_dim),
        f"{estimate.images:,} images",
        readable_settings(estimate.settings),
    ]
    if sampled is not None:
        foot.append(f"IS on the same: {number(sampled.value)}")
    if estimate.untrusted_share is not None:
        foot.append(pill(verdict.level, f"{estimate.untrusted_share:.0%} untrusted"))
    return _tile(name, number(estimate.nll), estimate.standard_error, foot)


def _tile(label: str, value: str, error: float | None, foot: list[str | Markup] | list[str]) -> Markup:
    shown = None if error is None else element("small", f" ± {number(error)}")
    parts = [part if isinstance(part, Markup) else element("span", shareable(part)) for part in foot]
    return element(
        "div",
        element("p", label, class_="label"),
        element("p", value, shown, class_="value"),
        element("p", parts, class_="foot"),
        class_="tile",
    )


def _nothing_card(found: Findings) -> Markup:
    """Say why there is no best trial."""
    statuses = Counter(row.status for row in found.rows)
    if not found.rows:
        why = "No trial was proposed: the ledger has its header and nothing else."
    elif statuses["running"] or statuses["pending"] or statuses["interrupted"]:
        why = "No trial has completed yet."
    elif statuses["completed"]:
        why = "No completed trial has a finite validation bound."
    else:
        why = "No trial completed: see how each ended on the leaderboard, and its error."
    return element(
        "div", element("p", "There is no best trial", class_="big"), element("p", why, class_="verdict"), class_="card"
    )


def _counts(found: Findings) -> Markup:
    counts = Counter(row.status for row in found.rows)
    asked = max(found.status.trials, len(found.rows), 1)
    bars, at = [], 0.0
    for status in get_args(TrialStatus):
        width = 100 * counts[status] / asked
        if width:
            bars.append(element("rect", x=f"{at:.3f}", width=f"{width:.3f}", height=4, class_=f"s-{status}"))
            at += width
    rest = element("rect", x=0, width=100, height=4, class_="rest")
    drawn = element(
        "svg", rest, bars, viewBox="0 0 100 4", preserveAspectRatio="none", class_="shares", aria_hidden="true"
    )
    ended = sum(row.status in ("completed", "stopped", "diverged", "failed", "oom") for row in found.rows)
    seconds = sum(row.training.seconds for row in found.rows if row.training is not None)
    facts = [f"{ended:,} of {found.status.trials:,} trials have ended", f"{duration(seconds)} of training"]
    if found.state.gpu_seconds:
        facts.append(f"{found.state.gpu_seconds / 3600:.2f} GPU-hours")
    facts.append(f"{len(found.evaluations):,} scored on test images")
    line = element("p", " · ".join(facts), class_="note")
    return element("div", drawn, legend(counts), line, class_="card counts")
