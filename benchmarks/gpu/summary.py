"""The results as Markdown text and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Figures = dict[str, Any]
REQUIRED_TRAINING, AIM_TRAINING = 40_000, 75_000
REQUIRED_SCORING, AIM_SCORING = 120, 60
"""Images a second of the reference recipe, and seconds of IS-1000 of 10,000 images, on an H100."""


def summary(found: Figures) -> str:
    """Return all results as a separate page."""
    kind = "A rehearsal in miniature on a CPU: its figures mean nothing" if found["rehearsal"] else "On a GPU"
    head = f"# {kind}\n\n{found['began']}, {found['seconds']:.0f} s.\n"
    return "\n".join([head, *_statuses(found["steps"]), "", section(found)])


def section(found: Figures) -> str:
    """Return the figures as docs/performance.md shows them."""
    steps = {name: each["figures"] for name, each in found["steps"].items() if each["figures"]}
    parts = [write(steps[name], name) for name, write in WRITERS.items() if name in steps]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _statuses(steps: Figures) -> Iterator[str]:
    yield "| step | | s | CPU s | checks | remark |"
    yield "| --- | --- | ---: | ---: | --- | --- |"
    for name, each in steps.items():
        checks = each["figures"].get("checks", [])
        failed = [check["what"] for check in checks if not check["holds"]]
        said = f"FAILED: {'; '.join(failed)}" if failed else f"all {len(checks)} hold" if checks else ""
        remark = "; ".join(filter(None, [each["remark"], *each["figures"].get("remarks", [])])).replace("|", "/")
        spent = f"{each['seconds']:.0f} | {each.get('processor_seconds', 0):.0f}"
        yield f"| {name} | {each['status']} | {spent} | {said} | {remark} |"


def _machine(figures: Figures, name: str) -> list[str]:
    if "packages" not in figures:
        return []
    packages = ", ".join(f"{key} {value}" for key, value in figures["packages"].items() if value)
    lines = [f"**{figures['device']}**, {_gib(figures['memory'])}; {packages}; Python {figures['python']}."]
    if "copy_bytes" in figures:
        lines.append(
            f"Measured: matrix products {_tera(figures['products_bfloat16'])}FLOP/s in bfloat16 and "
            f"{_tera(figures['products_float32'])}FLOP/s in float32 (no TF32), copies within its memory "
            f"{_tera(figures['copy_bytes'])}B/s (read and written). Shares below refer to these."
        )
    return lines


def _checks(figures: Figures, name: str) -> list[str]:
    rows = [
        (
            each["what"],
            *(f"{each[key]:.2g}" if key in each else "" for key in ("value", "limit")),
            "yes" if each["holds"] else "**no**",
        )
        for each in figures.get("checks", [])
    ]
    title = {
        "correctness": "Against the CPU",
        "memory": "A quarter of the memory",
        "trial_memory": "A trial that runs out of memory",
    }[name]
    lines = _table(f"**{title}**", ("check", "found", "limit", "holds"), rows)
    if short := figures.get("short_training"):
        lines += [
            "",
            f"After {short['steps']} steps from the same weights, batches and noise the bound is "
            f"{short['float32']:.3f} nats in float32 and {short['bfloat16']:.3f} in bfloat16.",
        ]
    lines += [
        f"\nOut of memory, as reported: `{figures[key]}`" for key in ("filling", "training", "error") if key in figures
    ]
    return lines


def _training(figures: Figures, name: str) -> list[str]:
    rows = list(figures.get("rows", []))
    if "unfinished" in figures:  # the profiler, or what came after it, has ended the step
        rows.append(figures["unfinished"])
    cells = [
        (
            row["name"],
            f"{row['batch_size']}",
            f"{row['images_a_second']:,.0f}",
            f"{row['lowest']:,.0f}-{row['highest']:,.0f}",
            f"{row['ms_a_step']:.2f}",
            _share(row, "share_of_products"),
            _share(row, "share_of_memory"),
            _gib(row["memory"]),
        )
        for row in rows
    ]
    header = ("", "batch", "images/s", "lowest-highest", "ms per step", "of products", "of memory traffic", "memory")
    title = f"**Training** ({name.replace('_', ' ')}; {figures['flop_an_image'] / 1e9:.3g} GFLOP per image)"
    if "float32" not in name:
        title += f". Required on an H100: {REQUIRED_TRAINING:,}, target: {AIM_TRAINING:,} images/s at batch size 200."
    lines = _table(title, header, cells)
    for row in rows:
        if "compile_seconds" in row:
            failed = f"; {row['compiling_failed']}" if row["compiling_failed"] else ""
            lines += ["", f"Compiling took {row['compile_seconds']:.0f} s with nothing cached{failed}."]
    return [*lines, *_kernels(rows)]


def _kernels(rows: Sequence[Figures]) -> list[str]:
    known = [row for row in rows if "kernels" in row and not row["name"].startswith("products")]
    classes = list(dict.fromkeys(each for row in known for each in row["kernels"]["ms_by_class"]))
    if not known:
        return []
    header = ("ms per step", *(f"{row['name']}, {row['batch_size']}" for row in known))
    cells = [(each, *(f"{row['kernels']['ms_by_class'].get(each, 0):.3f}" for row in known)) for each in classes]
    for label, key in (
        ("total on the device", "ms_on_device"),
        ("wall clock, profiled", "ms_profiled"),
        ("kernels per step", "kernels_a_step"),
    ):
        cells.append((label, *(f"{row['kernels'][key]:.2f}" for row in known)))
    return ["", *_table("", header, cells)[2:]]


def _scoring(figures: Figures, name: str) -> list[str]:
    networks = figures.get("networks", [])
    cells = [
        (each["estimator"], f"{each['rows_at_a_time']:,}", f"{each['rows_a_second']:,.0f}", _of_peak(figures, each))
        for each in networks
    ]
    header = ("networks alone", "rows at a time", "rows/s", "of products")
    lines = _table("**Scoring** with the folded model in float32", header, cells)
    if "hais_rows_a_second" in figures:
        lines += [
            "",
            f"As scored, including noise: HAIS {figures['hais_rows_a_second']:,.0f} gradients/s (1,000 images with the "
            f"default settings: {figures['hais_1000_images']:,.0f} s).",
        ]
    if "is_all" in figures:
        lines += [
            f"IS {figures['is_rows_a_second']:,.0f} rows/s: {figures['is_images']:,} images with "
            f"{figures['is_samples']:,} samples took {figures['is_seconds']:.1f} s, which extrapolates to "
            f"{figures['is_all']:.0f} s for 1,000 samples of 10,000 images (required on an H100: "
            f"{REQUIRED_SCORING} s, target: {AIM_SCORING} s)."
        ]
    return lines


def _of_peak(figures: Figures, row: Figures) -> str:
    if row["estimator"] != "IS" or not figures.get("peak"):
        return "-"
    return f"{row['rows_a_second'] * figures['flop_a_row'] / figures['peak']:.0%}"


def _packing(figures: Figures, name: str) -> list[str]:
    cells = [
        (each["model"], f"{each['processes']}", f"{each['images_a_second']:,.0f}", f"{each['against_one']:.2f}")
        for each in figures.get("rows", [])
    ]
    return _table("**Several trials on one device**", ("", "processes", "images/s in total", "relative to 1"), cells)


def _plan(figures: Figures, name: str) -> list[str]:
    cells = [
        (each["space"], _gib(each["used"]), _gib(each["total"]), f"{each['trials']}", f"{each['seconds']:.0f}")
        for each in figures.get("rows", [])
    ]
    header = ("space", "largest configuration", "available", "trials at a time", "s")
    return _table("**Packing by `--gpus-per-trial auto`**", header, cells)


def _sweep(figures: Figures, name: str) -> list[str]:
    if "completed" not in figures:
        return []
    return [
        f"**A sweep** of {figures['trials']} small trials on a quarter of the device each: killed after "
        f"{figures['seconds_to_the_kill']:.0f} s, resumed, finished after {figures['seconds_resumed']:.0f} s more; "
        f"{figures['completed']} completed, {figures['went_on']} of them resumed from a checkpoint."
    ]


def _long(figures: Figures, name: str) -> list[str]:
    curve = figures.get("curve", [])
    if not curve:
        return []
    shown = [row for place, row in enumerate(curve) if place % max(1, len(curve) // 8) == 0 or row is curve[-1]]
    cells = [
        (f"{row['epoch']}", f"{row['training']:.2f}", f"{row['validation']:.2f}", f"{row['images_a_second']:,.0f}",
         f"{row['seconds']:.2f}")
        for row in shown
    ]  # fmt: skip
    title = f"**The longest training that fitted**: {figures.get('epochs', len(curve))} epochs"
    header = ("epoch", "training bound, nats", "validation bound, nats", "images/s", "s per epoch")
    lines = _table(title, header, cells)
    if "nll" in figures:
        lines += [
            "",
            f"Test NLL of epoch {figures['epoch_scored']} by IS with {figures['nll_samples']:,} samples: "
            f"{figures['nll']:.2f} ± {figures['nll_error']:.2f} nats on {figures['nll_images']:,} of "
            f"{figures['nll_of']:,} images ({figures['nll_untrusted']:.0%} of them untrusted), in "
            f"{figures['nll_seconds']:.0f} s.",
        ]
    return lines


WRITERS: dict[str, Callable[[Figures, str], list[str]]] = {
    "machine": _machine,
    "correctness": _checks,
    "memory": _checks,
    "trial_memory": _checks,
    "training": _training,
    "training_compiled": _training,
    "training_compiled_float32": _training,
    "scoring": _scoring,
    "packing": _packing,
    "plan": _plan,
    "small_sweep": _sweep,
    "long_training": _long,
}
"""By the name of the step, in the order of the page."""


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return [title, "", *(f"| {' | '.join(cells)} |" for cells in lines)]


def _share(row: Figures, key: str) -> str:
    return f"{row[key]:.0%}" if key in row else "-"


def _gib(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**30:.1f} GiB"


def _tera(rate: float) -> str:
    return f"{rate / 1e12:.3g} T"
