"""Write docs/case_study.md, one sweep from question to answer: `python -m benchmarks.case_study runs/case-study`.

It launches search_spaces/case_study.toml on full MNIST, trains the best five again with three seeds, scores them,
exports the best model and draws samples from it, which takes about two hours of two cores. An interrupted step
continues where it stopped, and finished steps are not repeated. The page is then written from the figures alone, which
docs/figures/case_study.json keeps; `--page-only` writes it again from them. Chromium takes screenshots of the report's
charts.

The analysis fits two linear models in the searched parameters: one of the trials' validation bounds, and one of the
logarithm of their seconds per epoch. The effect of a parameter at equal epochs is its coefficient b. At equal time it
is ``b - e log2(r)``, where e is the coefficient of a doubling of the epochs (negative: it lowers the bound), r is the
factor by which the parameter lengthens an epoch, and log2(r) is the number of doublings that this time would buy.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import tomli_w
import torch
import typer
from numpy.typing import NDArray
from PIL import Image, ImageChops
from torchvision.utils import save_image

import iafsweep
from benchmarks.timing import machine
from iafsweep.atomic import replacing, write_text
from iafsweep.errors import UserError
from iafsweep.records import LeaderboardRow

if TYPE_CHECKING:
    from iafsweep.report.write import Chart

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "case_study.md"
SPACE = "case_study"
TOP, SEEDS = 5, 3
CHARTS = {
    "learning-curves": "Learning curves of all trials",
    "variance": "What explains the bounds of all trials",
    "importance": "What distinguishes the best trials from the rest",
    "cost": "Bound against seconds per epoch",
}
"""Charts of the report that the page shows, and their captions."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUICK = {
    "data.source": "mnist_mini", "data.validation_images": 9000, "training.kl_warmup_epochs": 0,
    "model.flow.made.width": 32, "model.prior.autoregressive.width": 32, "evaluation.bound_images": 50,
    "evaluation.importance_sampling.samples": 20, "evaluation.importance_sampling.images": 40,
    "evaluation.hais.temperatures": 3, "evaluation.hais.images": 20,
}  # fmt: skip
"""What `--quick` fixes: the embedded images, tiny sizes where the space searches none, figures of few images."""
TEXT = """<!-- Written by benchmarks/case_study.py from docs/figures/case_study.json; do not edit. -->
# Prior, posterior flow, or bigger networks: where should an hour of two cores go?

This case study goes from a question to an answer: one sweep on full MNIST, the best trials trained again, and figures
with their errors. `python -m benchmarks.case_study runs/case-study` repeats all of it and writes this page. It needs
the extra `docs`, Chromium for the charts, and MNIST in `$IAFSWEEP_DATA`. Run again, it continues where it was stopped.
Every number and every judgement below is computed. Measured on {machine}.

## The answer

{answer}

![What each change brings at equal epochs and at equal time](figures/case_study-effects.png)

## The search space

Bigger networks, a flow in the posterior and a learned prior may all lower the bound of a fully connected model, and
each makes an epoch longer. In the same time the smaller model could train for more epochs instead. The sweep therefore
searches the number of epochs as well. What a doubling of the epochs gains is the exchange rate between time and nats,
by which the other changes are judged. This is `search_spaces/{file}.toml`:

```toml
{space}
```

- `prior.kind`: the small autoregressive prior of the space `quick`, against N(0, I).
- `flow.depth`: none, two or four IAF steps of width 320. More than four steps are left to bigger budgets.
- both `hidden_sizes`: 300, as in the small models of this repository, or twice that, varied separately for encoder and
  decoder.
- `epochs`: 6 or 12, each with its own cosine schedule to 0, so that no trial is measured in the middle of its schedule.
- `learning_rate`: the range in which models train at all. It is a nuisance parameter here, and the analysis removes its
  effect with a parabola.
- A Sobol sequence and no scheduler: a sampler that looks for the best tries little else, and a scheduler stops the
  other trials. Either would leave large errors on the effects.

```
python run_sweep.py launch case_study --name case-study
python run_sweep.py retrain runs/case-study --top {top} --seeds {seeds}
python run_sweep.py report runs/case-study
python run_sweep.py export-model runs/case-study --to models/case-study
```

## What ran

Training {trials} trials took {sweep_minutes} core-minutes; their bounds are {low} to {high} nats per image. Training
the best {top} again with {seeds} seeds each took {retraining_minutes} core-minutes more. Times are wall-clock times,
affected by whatever else the machine was doing. The charts are those of the report:

{charts}

## Effects

Two linear models are fitted to all completed trials by least squares: one of the validation bound in the searched
parameters, with a parabola in the logarithm of the learning rate, and one of the logarithm of the seconds per epoch in
prior, flow and network sizes. Doubling the epochs changes the bound by {doubling} nats. The change *at equal time* is
the change at equal epochs minus what the longer epochs, spent on more epochs instead, would have gained at that rate.
± is one standard error; negative is better. The linear model leaves {rest} nats (standard deviation) of the bounds
unexplained. From one seed to the next, a bound varies by {luck} nats.

| change | bound at equal epochs, nats | factor on the seconds per epoch | bound at equal time, nats |
|---|---|---|---|
{effects}

## Retraining the best

The best {top} trials of the sweep, each trained with a single seed:

| trial | configuration | validation bound |
|---|---|---|
{leaders}

Each was trained again from scratch with {seeds} seeds. The bounds are means over seeds, with the standard deviation
over seeds (sd). The test figures are means over seeds ± the standard error over images of one seed (number of images).
Differences from the first row are paired by seed, image and bits; their ± combines the errors over seeds and images.

{retrained}

{kept}

## The model

The best model of the sweep, exported and loaded from its folder: two rows of new images, one row of test images, and
one of their reconstructions.

![New images, test images and reconstructions](figures/case_study-samples.png)

## On a GPU

Nothing on this page was measured on a GPU. The exchange rate holds for 6 to 12 epochs on this processor. The seconds
per epoch and the gain from a doubling are both different on a GPU, so repeat the experiment rather than carry the
answer over. In a copy of the space, set `training.epochs` to what fits your hours and add the networks you can afford.
Then list the changes in `CHANGES` in the script, which its analysis needs.
"""


@dataclass(frozen=True)
class Effect:
    """What a change of one parameter does, on average over the others: estimate and standard error.

    Attributes:
        name: the change.
        bound: change of the validation bound at equal epochs, nats per image; negative is better.
        bound_error: its standard error.
        cost: factor on the seconds of an epoch.
        cost_error: its standard error.
        net: change of the bound at equal time.
        net_error: its standard error.
    """

    name: str
    bound: float
    bound_error: float
    cost: float
    cost_error: float
    net: float
    net_error: float


Rows: TypeAlias = Sequence[LeaderboardRow]
CHANGES: dict[str, tuple[str, int | str]] = {
    "autoregressive prior, without a flow": ("model.prior.kind", "autoregressive"),
    "2 flow steps, under N(0, I)": ("model.flow.depth", 2),
    "4 flow steps, under N(0, I)": ("model.flow.depth", 4),
    "encoder 600 wide": ("model.encoder.mlp.hidden_sizes", "[600, 600]"),
    "decoder 600 wide": ("model.decoder.mlp.hidden_sizes", "[600, 600]"),
}
"""The parameter that each change sets, and its value; it is compared with the other value, or with 0 steps."""
DOUBLING = "twice the epochs"
BOTH = "prior and flow together, beyond their sum"
"""The interaction, which costs no time of its own."""


def main(
    folder: Annotated[Path, typer.Argument(help="Folder of the sweep; created if missing.")],
    page_only: Annotated[bool, typer.Option("--page-only", help="Write the page again from the kept figures.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A miniature, to see that the script works.")] = False,
    to: Annotated[Path, typer.Option(help="The page; its figures go into `figures` beside it.")] = PAGE,
) -> None:
    """Sweep, retrain, export, analyse, write the page."""
    kept = to.parent / "figures" / "case_study.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not page_only:
        browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
        if browser is None:
            raise typer.BadParameter(f"the charts need one of {', '.join(BROWSERS)}, and none is installed")
        sweep, again = run(folder, quick=quick)
        for name in CHARTS:
            photograph(sweep.figure(name), kept.with_name(f"case_study-{name}.png"), browser)
        draw_model(sweep, kept.with_name("case_study-samples.png"), folder.with_name(f"{folder.name}-model"))
        write_text(kept, json.dumps(measured(sweep, again), indent=1))
    found = json.loads(kept.read_text(encoding="utf-8"))
    draw_effects([Effect(**each) for each in found["effects"]], kept.with_name("case_study-effects.png"))
    write_text(to, text_of(found))
    typer.echo(to)


def run(folder: Path, *, quick: bool) -> tuple[iafsweep.LoadedSweep, iafsweep.LoadedSweep]:
    """Return the sweep and the retraining of its best trials; each continues where it was stopped."""
    if (folder / "trials.jsonl").exists():
        sweep = iafsweep.load_sweep(folder).resume()
    else:
        sweep = iafsweep.launch(_quick_space(folder) if quick else SPACE, folder)
    sweep.retrain(top=TOP, seeds=SEEDS)
    return sweep, iafsweep.load_sweep(folder / "retrain" / f"top{TOP}-seeds{SEEDS}")


def _quick_space(folder: Path) -> Path:
    """Write the space in miniature next to the sweep's folder; return its path."""
    space = tomllib.loads((ROOT / "search_spaces" / f"{SPACE}.toml").read_text(encoding="utf-8"))
    space["fixed"] |= QUICK
    space["search"]["training.epochs"] = {"choice": [1, 2]}
    space["sweep"]["trials"] = 16
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}.toml")
    write_text(path, tomli_w.dumps(space))
    return path


def measured(sweep: iafsweep.LoadedSweep, again: iafsweep.LoadedSweep) -> dict[str, Any]:
    """Return all figures of the page as plain values."""
    done = [row for row in sweep.rows if row.rank is not None]
    if len(done) <= (least := len(CHANGES) + 5):
        raise UserError(f"{len(done)} completed trials are too few for a linear model of {least} coefficients")
    effects, rest = effects_of(done)
    bounds = [bound for row in done if (bound := row.validation_negative_elbo) is not None]
    groups = sorted(_configurations(again), key=lambda rows: _retrained(rows)["bound"])
    retrained = [_retrained(rows) for rows in groups]
    return {
        "machine": machine(torch.device("cpu")),
        "trials": len(sweep.rows),
        "bounds": [min(bounds), max(bounds)],
        "minutes": {"sweep": _minutes(sweep.rows), "retraining": _minutes(again.rows)},
        "effects": [asdict(each) for each in effects],
        "rest": rest,
        "luck": math.sqrt(fmean(each["bound_spread"] ** 2 for each in retrained)),
        "leaders": [
            {"trial": row.trial, "values": _words(row), "bound": row.validation_negative_elbo} for row in done[:TOP]
        ],
        "retrained": retrained,
        "differences": [_difference(again, rows, groups[0]) for rows in groups[1:]],
    }


def effects_of(done: Rows) -> tuple[list[Effect], float]:
    """Return the effects of the changes, and the residual standard deviation of the linear model of the bounds.

    Both models are fitted by least squares with the usual errors. The model of the bound also has a doubling of the
    epochs, the binary logarithm of the learning rate and its square, and prior and flow together. The errors of ``net``
    take the two models as independent.
    """
    made = {name: np.array([float(row.parameters[path] == value) for row in done])
            for name, (path, value) in CHANGES.items()}  # fmt: skip
    rate, doublings, seconds = (
        np.log2([float(value) for value in values])
        for values in (
            [row.parameters["training.learning_rate"] for row in done],
            [row.parameters["training.epochs"] for row in done],
            [row.seconds_per_epoch or math.nan for row in done],
        )
    )
    flow = np.array([float(row.parameters["model.flow.depth"] != 0) for row in done])
    rate -= rate.mean()
    columns = {
        **made,
        BOTH: made["autoregressive prior, without a flow"] * flow,
        DOUBLING: doublings,
        "rate": rate,
        "rate^2": rate**2,
    }
    bound, covariance, rest = least_squares(columns, np.array([float(row.validation_negative_elbo or math.nan)
                                                               for row in done]))  # fmt: skip
    cost, cost_covariance, _ = least_squares(made, seconds)
    exchange, exchange_variance = bound[DOUBLING], covariance[DOUBLING, DOUBLING]
    found = []
    for name in (*made, BOTH):
        doubled, variance = cost.get(name, 0.0), cost_covariance.get((name, name), 0.0)
        factor, error = 2.0**doubled, math.sqrt(covariance[name, name])
        net_variance = (
            covariance[name, name]
            - 2 * doubled * covariance[name, DOUBLING]
            + doubled**2 * exchange_variance
            + exchange**2 * variance
        )
        found.append(Effect(name, bound[name], error, factor, factor * math.log(2) * math.sqrt(variance),
                            bound[name] - exchange * doubled, math.sqrt(net_variance)))  # fmt: skip
    return [*found, Effect(DOUBLING, exchange, math.sqrt(exchange_variance), 2.0, 0.0, 0.0, 0.0)], rest


def least_squares(
    columns: Mapping[str, NDArray[np.float64]], values: NDArray[np.float64]
) -> tuple[dict[str, float], dict[tuple[str, str], float], float]:
    """Fit ``values`` by a constant and the columns; return coefficients, their covariance, residual standard deviation.

    ``C = s^2 (X'X)^-1``, where ``s^2`` is the residual sum of squares over the residual degrees of freedom.
    """
    names = ["", *columns]
    design = np.column_stack([np.ones(len(values)), *columns.values()])
    found, *_ = np.linalg.lstsq(design, values)
    left = values - design @ found
    rest = math.sqrt(float(left @ left) / (len(values) - len(names)))
    covariance = rest**2 * np.linalg.inv(design.T @ design)
    places = [(one, other) for one in range(len(names)) for other in range(len(names))]
    return (
        dict(zip(names, map(float, found), strict=True)),
        {(names[one], names[other]): float(covariance[one, other]) for one, other in places},
        rest,
    )


def _minutes(rows: Rows) -> float:
    """Minutes of one core that training took."""
    return sum(0.0 if row.training is None else row.training.seconds for row in rows) / 60


def _words(row: LeaderboardRow) -> str:
    """A configuration in a few words."""
    value = row.parameters
    return (
        f"{value['model.prior.kind']} prior, {value['model.flow.depth']} flow steps, encoder "
        f"{value['model.encoder.mlp.hidden_sizes']}, decoder {value['model.decoder.mlp.hidden_sizes']}, "
        f"{value['training.epochs']} epochs, learning rate {float(value['training.learning_rate']):.2g}"
    )


def _configurations(again: iafsweep.LoadedSweep) -> list[list[LeaderboardRow]]:
    """The rows of each configuration of a retraining."""
    found: dict[str, list[LeaderboardRow]] = {}
    for row in again.rows:
        found.setdefault(_words(row), []).append(row)
    return list(found.values())


def _retrained(rows: Rows) -> dict[str, Any]:
    """A configuration trained with several seeds: means over them, and standard deviations of one."""
    bounds = [float(row.validation_negative_elbo or math.nan) for row in rows]
    scored = {"is": [row.nll_importance_sampling for row in rows], "hais": [row.nll_hais for row in rows]}
    found: dict[str, Any] = {"values": _words(rows[0]), "bound": fmean(bounds), "bound_spread": stdev(bounds)}
    for name, figures in scored.items():
        known = [figure for figure in figures if figure is not None]
        nlls = [figure.value for figure in known]
        found[name] = {
            "nll": fmean(nlls),
            "spread": stdev(nlls),
            "images": known[0].images,
            "error": known[0].error,
            "untrusted": fmean(figure.untrusted or 0.0 for figure in known),
        }
    return found


def _difference(again: iafsweep.LoadedSweep, rows: Rows, best: Rows) -> dict[str, Any]:
    """Return the test NLL minus that of the best, by method: mean over seeds, with errors over seeds and images.

    Seeds are paired in order; each pair is compared on the same images and bits.
    """
    found: dict[str, list[tuple[float, float]]] = {"importance_sampling": [], "hais": []}
    for row, other in zip(rows, best, strict=True):
        for _, each in again.compare(other.trial, row.trial).iterrows():
            if each["split"] == "test" and each["method"] in found:
                found[each["method"]].append((each["difference"], each["standard_error"]))
    parts = {}
    for method, pairs in found.items():
        over_seeds = stdev(difference for difference, _ in pairs) / math.sqrt(len(pairs))
        parts[method] = {
            "difference": fmean(difference for difference, _ in pairs),
            "error": math.hypot(over_seeds, fmean(error for _, error in pairs)),
        }
    return parts


def photograph(chart: Chart, to: Path, browser: str) -> None:
    """Save a chart of the report as the page shows it, in few colours."""
    with tempfile.TemporaryDirectory() as place:
        page, picture = Path(place) / "chart.html", Path(place) / "chart.png"
        chart.save(page)
        asked = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,620")
        subprocess.run(
            [browser, *asked, f"--user-data-dir={place}/profile", "--virtual-time-budget=4000",
             f"--screenshot={picture}", page.as_uri()],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        with Image.open(picture) as opened, replacing(to) as temporary:
            found = opened.convert("RGB")
            below = Image.new("RGB", found.size, found.getpixel((found.width - 1, found.height - 1)))
            _, _, _, bottom = ImageChops.difference(found, below).getbbox() or (0, 0, 0, found.height)
            shown = found.crop((0, 0, found.width, min(found.height, bottom + 12)))
            shown.quantize(64).save(temporary, format="PNG", optimize=True)


def draw_model(sweep: iafsweep.LoadedSweep, to: Path, model: Path) -> None:
    """Export the best model, load it back, and draw new images, test images and their reconstructions."""
    if not model.exists():
        sweep.best("cpu").export(model)
    run = iafsweep.load_run(model, "cpu")
    x = run.images("test", 20)
    new = run.model.sample(40, generator=torch.Generator().manual_seed(0))
    with replacing(to) as temporary:
        save_image(torch.cat([new, x, run.model.reconstruct(x)]), temporary, nrow=20, format="png")


def draw_effects(effects: Sequence[Effect], to: Path) -> None:
    """Draw what each change brings at equal epochs and at equal time, with two standard errors."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [each for each in effects if each.name != DOUBLING][::-1]
    figure, panel = plt.subplots(figsize=(8, 3.4), layout="constrained")
    for shift, label, values in (
        (0.12, "at equal epochs", [(each.bound, each.bound_error) for each in shown]),
        (-0.12, "at equal time", [(each.net, each.net_error) for each in shown]),
    ):
        middle, error = zip(*values, strict=True)
        places = [place + shift for place in range(len(shown))]
        panel.errorbar(middle, places, xerr=[2 * each for each in error], fmt="o", markersize=5, capsize=3, label=label)
    panel.axvline(0, color="grey", linewidth=0.8)
    panel.set_yticks(range(len(shown)), [each.name for each in shown])
    figure.supxlabel(
        "change of the validation bound, nats per image (left is better; bars: two standard errors)", fontsize="medium"
    )
    panel.legend()
    panel.grid(visible=True, axis="x", linewidth=0.4)
    with replacing(to) as temporary:
        figure.savefig(temporary, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)


def text_of(found: Mapping[str, Any]) -> str:
    """Return the page, whose numbers and judgements are all computed from the figures."""
    effects = [Effect(**each) for each in found["effects"]]
    doubling = next(each for each in effects if each.name == DOUBLING)
    rows = "\n".join(
        f"| {each.name} | {_signed(each.bound, each.bound_error)} | {each.cost:.2f} ± {each.cost_error:.2f} "
        f"| {_signed(each.net, each.net_error)} |"
        for each in effects
        if each.name != DOUBLING
    )
    leaders = "\n".join(f"| {each['trial']} | {each['values']} | {each['bound']:.2f} |" for each in found["leaders"])
    return TEXT.format(
        file=SPACE,
        space=(ROOT / "search_spaces" / f"{SPACE}.toml").read_text(encoding="utf-8").rstrip(),
        machine=found["machine"],
        trials=found["trials"],
        low=f"{found['bounds'][0]:.2f}",
        high=f"{found['bounds'][1]:.2f}",
        sweep_minutes=f"{found['minutes']['sweep']:.0f}",
        retraining_minutes=f"{found['minutes']['retraining']:.0f}",
        answer=_answer(effects),
        effects=rows,
        doubling=_signed(doubling.bound, doubling.bound_error),
        rest=f"{found['rest']:.2f}",
        luck=f"{found['luck']:.2f}",
        leaders=leaders,
        retrained=_retrained_table(found["retrained"], found["differences"]),
        kept=_who_leads(found),
        top=TOP,
        seeds=SEEDS,
        charts="\n\n".join(f"![{alt}](figures/case_study-{name}.png)" for name, alt in CHARTS.items()),
    )


def _signed(value: float, error: float) -> str:
    return f"{value:+.2f} ± {error:.2f}"


def _answer(effects: Sequence[Effect]) -> str:
    """Return which changes pay at equal time, which do not, and which are within two standard errors of zero."""
    parts = []
    verdicts: tuple[tuple[str, Callable[[Effect], bool]], ...] = (
        ("pays for its time", lambda each: each.net < -2 * each.net_error),
        ("costs more than it gives", lambda each: each.net > 2 * each.net_error),
        (
            "indistinguishable from no effect (less than two standard errors)",
            lambda each: abs(each.net) <= 2 * each.net_error,
        ),
    )
    for words, holds in verdicts:
        alone = (each for each in effects if each.name not in (DOUBLING, BOTH))
        chosen = sorted((each for each in alone if holds(each)), key=lambda each: each.net)
        if chosen:
            said = "; ".join(f"{each.name} ({_signed(each.net, each.net_error)} nats)" for each in chosen)
            parts.append(f"- **{words[0].upper()}{words[1:]}:** {said}.")
    parts += [_together(each) for each in effects if each.name == BOTH]
    return "\n".join(parts)


def _together(both: Effect) -> str:
    """Return whether the effects of prior and flow add up."""
    figure = f"{_signed(both.net, both.net_error)} nats"
    if abs(both.net) <= 2 * both.net_error:
        return f"- **Prior and flow together** bring the sum of what each brings alone, within the error ({figure})."
    word = "less" if both.net > 0 else "more"
    return f"- **Prior and flow together** bring {word} than the sum of what each brings alone ({figure} beyond that)."


def _retrained_table(retrained: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| configuration | validation bound | test NLL, IS | minus the first | test NLL, HAIS | minus the first |",
        "|---|---|---|---|---|---|",
    ]
    for each, difference in zip(retrained, [None, *differences], strict=True):
        cells = [each["values"], f"{each['bound']:.2f} (sd {each['bound_spread']:.2f})"]
        for name, method in (("is", "importance_sampling"), ("hais", "hais")):
            figure = each[name]
            cells.append(
                f"{figure['nll']:.2f} ± {figure['error']:.2f} ({figure['images']:,}), "
                f"{figure['untrusted']:.0%} untrusted"
            )
            part = None if difference is None else difference[method]
            cells.append("" if part is None else _signed(part["difference"], part["error"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _who_leads(found: Mapping[str, Any]) -> str:
    """Return whether the sweep's best is the best again, and how many others differ from the best on test images."""
    first, leader = found["retrained"][0]["values"], found["leaders"][0]["values"]
    same = (
        "The best trial of the sweep is the best again."
        if first == leader
        else f"The best of the sweep ({leader}) is not the best again."
    )
    parts = [each["hais"] for each in found["differences"]]
    apart = sum(abs(each["difference"]) > 2 * each["error"] for each in parts)
    return (
        f"{same} By HAIS, {apart} of the {len(parts)} others differ from the first row by more than two standard "
        "errors (over seeds and images together)."
    )


if __name__ == "__main__":
    typer.run(main)
