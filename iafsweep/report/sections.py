"""The sections of the page below its headline."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from iafsweep.leaderboard import leaderboard_table
from iafsweep.records import TextTable
from iafsweep.records.trust import DOUBTFUL_SHARE, TRUSTED_SHARE, UNEVEN
from iafsweep.report.findings import Findings
from iafsweep.report.markup import Markup, element
from iafsweep.report.parts import figure_card, legend, text_table, trial_button
from iafsweep.report.pictures import Pictures
from iafsweep.report.private import shareable
from iafsweep.report.scored import MOST_TRIALS, diagnostics_table, sandwich_table
from iafsweep.report.searched import bound_axis, names, with_bound
from iafsweep.sweep.storage.stored_sweep import resume_options

_ERRORS = 12
_BEST_EPOCH = (
    "Reconstruction and KL add up to the validation bound. Active units are the latent variables that vary over images "
    "(variance above 0.01); the gradient's norm is before clipping, the step size that of the epoch's first step."
)


def leaderboard(found: Findings) -> Markup:
    """Return the leaderboard, and how the trials failed that did."""
    if not found.rows:
        return _section("leaderboard", "Leaderboard", element("p", "There are no trials yet.", class_="card empty"))
    order = [parameter.path for parameter in found.space.parameters]
    table = leaderboard_table(found.rows, order)
    short = names(found.space)
    shown = _figures_first(table, order, short)
    search = element(
        "input", type="search", id="filter", placeholder="Filter, e.g. completed", aria_label="Filter the trials"
    )
    count = element("span", id="filtered", class_="soft", role="status")
    notes = element("p", " ".join(table.notes), class_="note")
    lead = "A heading sorts. A trial's name shows it in all figures; Escape lets go of it."
    return _section(
        "leaderboard",
        "Leaderboard",
        element("p", lead, class_="lead"),
        element("div", search, count, class_="bar-of-table"),
        text_table(shown, sortable=True, keys=2, label="Leaderboard"),
        notes,
        _errors(found),
    )


def _figures_first(table: TextTable, paths: Sequence[str], short: Mapping[str, str]) -> TextTable:
    """The leaderboard's table with its searched parameters last, under their short names."""
    known = [path for path in table.header if path in paths or "." in path]
    places = sorted(range(len(table.header)), key=lambda place: table.header[place] in known)
    return TextTable(
        header=tuple(shareable(short.get(table.header[place], table.header[place])) for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in table.rows),
        notes=table.notes,
    )


def _errors(found: Findings) -> Markup | None:
    """The last lines of the errors, each once, with the trials they ended."""
    by_error: dict[str, list[str]] = {}
    for row in found.rows:
        if row.error and row.status in ("failed", "oom", "diverged"):
            by_error.setdefault(shareable(row.error), []).append(row.trial)
    if not by_error:
        return None
    items = []
    for error, trials in list(by_error.items())[:_ERRORS]:
        more = f" and {len(trials) - 3:,} more" if len(trials) > 3 else ""
        items.append(element("li", ", ".join(trials[:3]) + more + ": ", element("code", error)))
    if len(by_error) > _ERRORS:
        items.append(element("li", f"{len(by_error) - _ERRORS:,} other errors"))
    return element(
        "div", element("h3", "How trials failed"), element("ul", items, class_="problems"), class_="card counts"
    )


def curves(found: Findings) -> Markup:
    """Return the learning curves."""
    shown = Counter(row.status for row in found.rows if row.trial in {curve.trial for curve in found.curves.curves})
    figure = figure_card(found.curves, len(found.rows), legend(shown))
    if not found.best_epochs.rows:
        return _section("curves", "Learning curves", figure)
    table = element(
        "div",
        element("h3", "In the best epoch"),
        element("p", _BEST_EPOCH, class_="note"),
        text_table(found.best_epochs, sortable=True, label="Training in the best epoch"),
        class_="card",
    )
    return _section("curves", "Learning curves", element("div", figure, table, class_="stack"))


def mattered(found: Findings) -> Markup:
    """Return importance, parallel coordinates, slices, and the bound against its cost."""
    count = len(found.rows)
    half = "card wide" if found.importance.empty else "card"
    figures = [
        figure_card(found.importance, count, class_=half),
        figure_card(found.variance, count, class_="card wide" if found.variance.empty else "card"),
        figure_card(found.cost, count, class_=half),
        figure_card(found.parallel, count, class_="card wide"),
    ]
    below = [] if found.parallel.empty else _slices(found)
    return _section(
        "parameters",
        "What mattered",
        *_population(found),
        element("div", figures, class_="grid"),
        *below,
    )


def _population(found: Findings) -> list[Markup]:
    """What to keep in mind of trials that went on from copies of others; nothing in other sweeps."""
    copies = sum(len(trial.donors) for trial in found.state.trials)
    if not copies:
        return []
    text = (
        f"A population: {copies:,} times a trial went on from a copy of another, with new settings. A trial's values "
        "are those it ended with, and its curve is the history of the weights it ended with, so single values say "
        "less here."
    )
    return [element("p", text, class_="lead note")]


def _slices(found: Findings) -> list[Markup]:
    """A small figure a parameter; what is the same for all of them is said once."""
    _, cut = bound_axis(with_bound(found.rows))
    lead = f"Each mark is a trial at its best bound; early-stopped ones had fewer epochs to get there. {cut}".strip()
    return [
        element("h3", "Each parameter against the bound", class_="apart"),
        element("p", lead, class_="lead note"),
        element("div", [figure_card(figure, len(found.rows)) for figure in found.slices], class_="grid small"),
    ]


def estimators(found: Findings) -> Markup:
    """Return the test figures with what says whether to trust them."""
    figure = figure_card(found.tested, len(found.rows))
    if not found.evaluations:
        return _section("estimators", "Test figures", figure)
    lead = (
        f"A figure counts as trusted when at most {TRUSTED_SHARE:.0%} of its images are untrusted (their {UNEVEN}), "
        f"and as not to be trusted above {DOUBTFUL_SHARE:.0%}. “Half the effort” is what half of the samples or chains "
        "would have said, less the figure: far from 0 means bias, near 0 does not rule it out."
    )
    tables = [
        element("h3", "Diagnostics"),
        text_table(diagnostics_table(found.evaluations), sortable=True, label="Diagnostics of the estimators"),
    ]
    sandwiches = sandwich_table(found.evaluations)
    if sandwiches.rows:
        tables += [
            element("h3", "Bounds, in expectation, on images simulated from the model"),
            text_table(sandwiches, sortable=True, label="Bounds on simulated images"),
        ]
    else:
        tables.append(element("p", "hais_gap: not measured; Environment has the command.", class_="note"))
    if len(found.evaluations) > MOST_TRIALS:
        tables.append(element("p", f"The best {MOST_TRIALS} scored trials are shown.", class_="note"))
    return _section(
        "estimators",
        "Test figures",
        element("p", lead, class_="lead"),
        element("div", figure, element("div", tables, class_="card stack"), class_="stack"),
    )


def pictures(found: Findings) -> Markup:
    """Return samples and reconstructions of the best trials side by side."""
    if not found.pictures:
        why = "No pictures are on disk: a trial draws samples and reconstructions in certain epochs and at its end."
        return _section("pictures", "Samples and reconstructions", element("p", why, class_="card empty"))
    lead = "Drawn after each trial's last epoch: new images from the prior, and inputs, each with its reconstruction."
    cards = [_picture_card(each) for each in found.pictures]
    return _section(
        "pictures",
        "Samples and reconstructions",
        element("p", lead, class_="lead"),
        element("div", cards, class_="pictures"),
    )


def _picture_card(each: Pictures) -> Markup:
    parts = [element("h3", trial_button(each.trial))]
    for name, uri in (("samples", each.samples), ("reconstructions", each.reconstructions)):
        drawn = (
            element("img", src=uri, alt=f"{name} of {each.trial}", loading="lazy")
            if uri is not None
            else element("p", f"No {name} on disk.", class_="empty")
        )
        parts.append(element("figure", element("figcaption", name), drawn))
    return element("div", parts, class_="card")


def environment(found: Findings, command: Sequence[str]) -> Markup:
    """Return what the sweep ran on, and the commands that go on with it; ``command`` makes the report again."""
    space, header = found.space, found.state.header
    scheduler = space.sweep.scheduler
    facts = {
        "sweep": f"{found.name}, begun {header.created}",
        "search": f"sampler {space.sweep.sampler}, scheduler {scheduler}, {space.sweep.trials:,} trials",
        "data": f"{space.base.data.told}; {space.base.data.held_out:,} validation images",
        "seeds": f"sweep {header.seed}, split {space.base.data.split_seed}, "
        f"binarisation {space.base.data.binarisation_seed}, evaluation {space.base.evaluation.seed}; "
        "each trial's own stands in leaderboard.csv",
        "devices": _devices(found),
        **_recorded(found),
    }
    rows = [part for name, value in facts.items() for part in (element("dt", name), element("dd", shareable(value)))]
    folder = command[-1]
    where = f"Where {folder} is the folder of the sweep; the figures as PNG come with --png."
    again = [element("h3", "Make this report again"), element("p", where, class_="note")]
    again.append(element("pre", element("code", shlex.join(command))))
    for title, words in _what_is_left(found):
        line = shlex.join([*command[: command.index("report")], words[0], folder, *words[1:]])
        again += [element("h3", title, class_="apart"), element("pre", element("code", line))]
    if found.best is not None:
        load = f'run = iafsweep.load_run("{shareable(folder)}/trials/{found.best.trial}")'
        again += [element("h3", "Use the best model", class_="apart"), element("pre", element("code", load))]
    return _section(
        "environment",
        "Environment",
        element("div", element("dl", rows, class_="facts"), element("div", again), class_="card stack"),
        _problems(found),
    )


def _what_is_left(found: Findings) -> Iterator[tuple[str, list[str]]]:
    """Yield what there is to do about a sweep at which no driver works, and the words that do it."""
    stands = found.status
    if stands.driver is not None:
        return
    is_exhausted = stands.ended_as is not None and stands.ended_as.outcome == "exhausted"
    if stands.ended < stands.trials and not is_exhausted:
        yield "Go on with the sweep", ["resume", *resume_options(found.space, found.state)]
    if stands.unscored:
        yield "Score what is not scored", ["rerun"]
    if found.evaluations and not sandwich_table(found.evaluations).rows:
        yield "Measure hais_gap", ["rerun", "--sandwich", "100"]


def _devices(found: Findings) -> str:
    devices = Counter(
        trial.finished.device for trial in found.state.finished if trial.finished and trial.finished.device
    )
    if not devices:
        return "not recorded: no trial has ended"
    return ", ".join(f"{device} ({count:,} trials)" for device, count in devices.most_common())


def _recorded(found: Findings) -> dict[str, str]:
    if not found.environments:
        why = "not recorded: the sweep was begun by an earlier version of the program, or never came to training"
        return {"versions": why}
    last = found.environments[-1]
    versions = ", ".join(f"{name} {version}" for name, version in last.packages.items())
    commit = "not in a git repository" if last.commit is None else last.commit[:12]
    if last.changed:
        commit += ", with changes that were not committed"
    facts = {
        "versions": f"Python {last.python}, {versions}" + (f", CUDA {last.cuda}" if last.cuda else ""),
        "machine": f"{last.system}, {last.cpus} CPU cores",
        "git commit": commit,
    }
    kinds = {each.model_copy(update={"time": ""}).model_dump_json() for each in found.environments}
    if len(found.environments) > 1:
        same = "the same each time" if len(kinds) == 1 else "not the same each time: this is the last"
        facts["drivers"] = f"{len(found.environments)}, {same}"
    return facts


def _problems(found: Findings) -> Markup | None:
    if not found.problems:
        return None
    items = [element("li", shareable(problem)) for problem in found.problems]
    return element(
        "div", element("h3", "What could not be read"), element("ul", items, class_="problems"), class_="card counts"
    )


def _section(identifier: str, title: str, *content: Markup | list[Markup] | None, class_: str | None = None) -> Markup:
    return element("section", element("h2", title), *content, id=identifier, class_=class_)
