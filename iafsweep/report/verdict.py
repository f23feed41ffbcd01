"""Say in words whether a test figure can be trusted, from its diagnostics alone."""

import math
from collections.abc import Sequence

from iafsweep.records import Estimate, Evaluation, Method, sandwich_beside
from iafsweep.records.trust import FEWEST_CHAINS, Level, level_of
from iafsweep.report.contents import Judged
from iafsweep.report.scored import number, test_estimates

_ORDER: tuple[Level, ...] = ("good", "doubtful", "bad", "unknown")
_NAMES: dict[Method, str] = {"hais": "HAIS", "importance_sampling": "importance sampling"}


def verdict_of(estimate: Estimate) -> Judged:
    """Return whether the figure can be trusted."""
    images = f"{estimate.images:,} image{'' if estimate.images == 1 else 's'}"
    if not math.isfinite(estimate.nll):
        return Judged(level="bad", word="not finite", text="The figure is not finite.")
    share = estimate.untrusted_share
    if share is None:
        return Judged(level="unknown", word="a bound", text=f"This is an upper bound on the NLL, from {images}.")
    level = level_of(share)
    if level == "good":
        return Judged(level="good", word="trusted", text=f"The weights of {1 - share:.0%} of {images} can be trusted.")
    text = (
        f"The weights of {share:.0%} of {images} vary too much{_few(estimate)}. Such a figure is above the true NLL in "
        "expectation: read it as an upper bound, and do not rank close trials by it."
    )
    return Judged(level=level, word="doubtful" if level == "doubtful" else "not to be trusted", text=text)


def verdict_of_trial(evaluation: Evaluation | None, show: Sequence[str] = ()) -> Judged:
    """Return whether a trial's test NLL can be trusted: by the better of its two estimators."""
    if evaluation is None:
        text = "It has not been scored on test images. Only its validation bound is known, by which it was selected."
        return Judged(level="unknown", word="not scored", text=text)
    figures = test_estimates(evaluation, show)
    judged = [(_NAMES[method], verdict_of(figures[method])) for method in _NAMES if method in figures]
    if not judged:
        text = "Only the one-sample bound was measured on test images; it is an upper bound on the NLL."
        return Judged(level="unknown", word="only a bound", text=text)
    best = min((verdict for _, verdict in judged), key=lambda verdict: _ORDER.index(verdict.level))
    if all(verdict.level == "bad" for _, verdict in judged):
        text = _all_bad([(name, figures[method]) for method, name in _NAMES.items() if method in figures])
    else:
        text = " ".join(f"With {name}, {verdict.text[0].lower()}{verdict.text[1:]}" for name, verdict in judged)
    return Judged(level=best.level, word=best.word, text=f"{text}{_gap(evaluation, figures.get('hais'))}")


def _all_bad(figures: list[tuple[str, Estimate]]) -> str:
    shares = " and ".join(
        f"{each.untrusted_share or 0:.0%} of the images with {name}{_few(each)}" for name, each in figures
    )
    return (
        f"The weights vary too much for {shares}. Such figures are above the true NLL in expectation: read them as "
        "upper bounds, and do not rank close trials by them. More samples or temperatures improve them."
    )


def _few(estimate: Estimate) -> str:
    """Return a remark if chains are so few that they hardly show their variance."""
    if estimate.method != "hais" or estimate.samples >= FEWEST_CHAINS:
        return ""
    return f" (chains: {estimate.samples}; fewer than {FEWEST_CHAINS} hardly show the variance)"


def _gap(evaluation: Evaluation, hais: Estimate | None) -> str:
    """Return a sentence on the sandwich gap, the only error that does not rest on the estimator's own weights."""
    beside = sandwich_beside(hais, (each for each in evaluation.sandwiches if math.isfinite(each.gap)))
    if beside is None:
        return ""
    others = "" if hais is None or hais.settings == beside.hais_settings else f", not the figure's {hais.settings}"
    return (
        f" On {beside.images:,} images simulated from the model, the lower and the upper bound by HAIS "
        f"({beside.hais_settings}{others}) are {number(beside.gap)} ± {number(beside.gap_error)} nats apart."
    )
