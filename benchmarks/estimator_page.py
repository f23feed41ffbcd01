"""Tables and plot of docs/estimators.md, made from the measured figures alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.estimator_figures import Figures, Results
from iafsweep.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = {"IS": "s", "posterior": "o", "prior": "^", "base": "v"}

SMALLEST_GAP = 2e-3
"""Smaller gaps are drawn at this value, because a logarithmic axis has no zero."""


def fill_page(text: str, results: Results) -> str:
    """Replace the text between `<!-- begin NAME -->` and `<!-- end NAME -->` with the table of that name.

    Raises:
        ValueError: the page names an unknown table, or lacks one.
    """
    names = re.findall(r"<!-- begin (\w+) -->", text)
    if sorted(names) != sorted(TABLES):
        raise ValueError(f"the page must contain each of {sorted(TABLES)} once, got {sorted(names)}")
    return re.sub(
        r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)",
        lambda found: f"{found[1]}{TABLES[found[2]](results)}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def draw(results: Results, path: Path) -> None:
    """Draw gap against cost, in gradients and in CPU time, both axes logarithmic."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    labels = dict.fromkeys(row["label"] for row in results["rows"])
    for panel, cost, title in (
        (panels[0], _evaluations, "network evaluations per image"),
        (panels[1], lambda row: row["cpu_seconds"], "CPU seconds per image"),
    ):
        for label in labels:
            rows = [row for row in results["rows"] if row["label"] == label]
            _curve(panel, label, [cost(row) for row in rows], rows)
        panel.set(xscale="log", yscale="log", xlabel=title)
        panel.grid(visible=True, which="major", linewidth=0.4)
    panels[0].set_ylabel("gap to the reference, nats")
    panels[1].legend(fontsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)


def _curve(panel: Axes, label: str, costs: Sequence[float], rows: Sequence[Figures]) -> None:
    gaps = [max(row["gap"], SMALLEST_GAP) for row in rows]
    high = [row["gap_error"] for row in rows]
    low = [gap - max(gap - error, SMALLEST_GAP / 2) for gap, error in zip(gaps, high, strict=True)]
    marker = MARKERS[label.split()[0]]
    panel.errorbar(costs, gaps, yerr=(low, high), marker=marker, markersize=4, label=label, linewidth=1, capsize=2)


def _model(results: Results) -> str:
    model, machine = results["model"], results["machine"]
    splits = (("training", "train"), ("validation", "validation"), ("test", "test"))
    bounds = ", ".join(f"{name} {model['bounds'][split]:.2f}" for name, split in splits)
    return (
        f"{model['title']}: {model['parameters']:,} parameters, {model['epochs']} epochs in "
        f"{model['training_seconds']:,.0f} s. Negative ELBO with one sample per image at the best epoch "
        f"({model['best_epoch']}): "
        f"{bounds} nats. Device: CPU, {machine['processor']}, {machine['threads']} thread; PyTorch {machine['torch']}."
    )


def _reference(results: Results) -> str:
    reference, images = results["reference"], results["images"]
    last = images["first"] + images["count"] - 1
    return (
        f"Reference: {reference['label']} with {reference['chains']} pooled chains, {reference['gradients']:,} "
        f"gradients per image. Its NLL is {reference['nll']:.3f} on test images {images['first']} to {last} (standard "
        f"error over images {reference['nll_error']:.1f}). Its Monte Carlo standard deviation is "
        f"{reference['repeats_error']:.4f} by repeats and {reference['jackknife_error']:.4f} by the jackknife over "
        f"chains. Its expected bias is {reference['expected_bias']:.4f}."
    )


def _methods(results: Results) -> str:
    header = (
        "method", "weights", "evaluations", "CPU s", "images", "runs", "NLL", "gap", "one run", "untrusted",
    )  # fmt: skip
    return _table(header, (_method_cells(row) for row in results["rows"] if _is_shown(row)))


def _is_shown(row: Figures) -> bool:
    return not (row["label"].startswith(("prior", "base")) and row["weights"] not in (8, 16)) and row["weights"] != 2


def _method_cells(row: Figures) -> Sequence[str]:
    return (
        row["label"],
        f"{row['weights']:,}",
        f"{_evaluations(row):,}",
        _seconds(row["cpu_seconds"]),
        str(row["images"]),
        f"{row['runs']:,}",
        f"{row['nll']:.3f}",
        f"{row['gap']:.3f} ± {row['gap_error']:.3f}",
        f"{row['one_run_error']:.3f}",
        "" if row["weights"] == 1 else f"{row['untrusted']:.0%}",
    )


def _settings(results: Results) -> str:
    header = ("setting", "step size", "acceptance", "variance of log-weights", "gap of the mean log-weight")
    largest = {row["label"]: row for row in results["rows"]}
    rows = [
        (
            row["label"],
            _decimals(row["step_size"], 3),
            _decimals(row["acceptance_rate"], 2),
            f"{row['log_weight_variance']:.2f}",
            f"{row['gap_of_mean_log_weight']:.2f}",
        )
        for row in largest.values()
    ]
    return _table(header, rows)


def _equal_gap(results: Results) -> str:
    header = ("method", "images", "gap", "cost per image", "posterior start", "gap", "cost per image", "ratio")
    rows = []
    for pair in results["equal_gap"]:
        other, ours, cost = pair["other"], pair["posterior"], pair["cost"]
        text: Callable[[float], str] = (lambda value: f"{value:,} gradients") if cost == "gradients" else _cpu
        rows.append(
            (
                _run_name(other),
                str(other["images"]),
                _gap(other),
                text(other[cost]),
                _run_name(ours),
                _gap(ours),
                text(ours[cost]),
                f"{other[cost] / ours[cost]:,.0f}",
            )
        )
    return _table(header, rows)


def _quarters(results: Results) -> str:
    header = ("method", "weights", "easiest", "second", "third", "hardest")
    wanted = {("IS", 1), ("IS", 1000), ("IS", 50_000)}
    rows = [
        (each["label"], f"{each['weights']:,}", *(f"{gap:.3f}" for gap in each["gaps"]))
        for each in results["quarters"]
        if (each["label"], each["weights"]) in wanted or each["weights"] == 16
    ]
    return _table(header, rows)


def _sandwiches(results: Results) -> str:
    header = ("setting", "chains", "gradients each way", "images", "lower bound", "upper bound", "gap")
    rows = [
        (
            each["label"],
            str(each["weights"]),
            f"{each['gradients']:,}",
            str(each["images"]),
            f"{each['lower']:.3f}",
            f"{each['upper']:.3f}",
            f"{each['gap']:.3f} ± {each['gap_error']:.3f}",
        )
        for each in results["sandwiches"]
    ]
    return _table(header, rows)


def _budgets(results: Results) -> str:
    """The most exact posterior-start run within each budget, and the cheapest within each gap."""
    header = ("limit", "run", "gradients", "gap")
    ours = [row for row in results["rows"] if row["label"].startswith("posterior")]
    found = [
        (f"at most {most:,} gradients", min(within, key=lambda row: row["gap"]))
        for most in (1000, 2500)
        if (within := [row for row in ours if row["gradients"] <= most])
    ]
    found += [
        (f"gap at most {most}", min(within, key=lambda row: row["gradients"]))
        for most in (0.05, 0.02)
        if (within := [row for row in ours if row["gap"] <= most])
    ]
    return _table(header, ((asked, _run_name(row), f"{row['gradients']:,}", _gap(row)) for asked, row in found))


def _seconds_of(results: Results) -> str:
    seconds = {kind: f"{1e6 * each:.0f}" for kind, each in results["seconds"].items()}
    return (
        f"CPU time of one evaluation of one image, in microseconds: {seconds['sampling']} forward only (IS); with "
        f"gradients, {seconds['posterior']} from the posterior, {seconds['prior']} from the prior and "
        f"{seconds['base']} from the base."
    )


def _pilots(results: Results) -> str:
    header = ("start", "pilot", "images", "passes", "step size", "acceptance")
    rows = [
        (
            each["start"],
            each["settings"],
            str(each["images"]),
            str(each["passes"]),
            f"{each['step_size']:.3f}",
            _decimals(each["acceptance_rate"], 2),
        )
        for each in results["pilots"]
    ]
    return _table(header, rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "model": _model,
    "reference": _reference,
    "seconds": _seconds_of,
    "pilots": _pilots,
    "methods": _methods,
    "settings": _settings,
    "budgets": _budgets,
    "equal_gap": _equal_gap,
    "quarters": _quarters,
    "sandwiches": _sandwiches,
}


def _evaluations(row: Figures) -> int:
    """Network evaluations per image: with gradients in HAIS, without in importance sampling."""
    return int(row["gradients"] or row["weights"])


def _run_name(row: Figures) -> str:
    separator = "-" if row["gradients"] == 0 else "x"
    return f"{row['label']}{separator}{row['weights']}"


def _decimals(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _gap(row: Figures) -> str:
    return f"{row['gap']:.3f} ± {row['gap_error']:.3f}"


def _seconds(value: float) -> str:
    return f"{value:.2g}" if value < 1 else f"{value:.1f}"


def _cpu(value: float) -> str:
    return f"{_seconds(value)} s"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
