"""The page: one HTML file that needs nothing but itself, and may load nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files

from iafsweep.report import sections
from iafsweep.report.findings import Findings
from iafsweep.report.headline import headline, how_it_stands
from iafsweep.report.markup import Markup, element, json_element, raw_element
from iafsweep.report.parts import pill
from iafsweep.report.private import shareable
from iafsweep.report.scored import number
from iafsweep.report.searched import names
from iafsweep.texts import value_text

_NAV = {
    "result": "Result",
    "leaderboard": "Leaderboard",
    "curves": "Learning",
    "parameters": "What mattered",
    "estimators": "Test figures",
    "pictures": "Samples",
    "environment": "Environment",
}


def html_page(found: Findings, command: Sequence[str]) -> str:
    """Return the report as HTML.

    Args:
        found: what the sweep has come to.
        command: the words that make the report again, the sweep folder last.
    """
    script = f'"use strict";\n(() => {{\n{_assets(".js")}}})();\n'
    title = shareable(found.space.title) or shareable(found.name)
    navigation = element(
        "nav",
        element("ul", [element("li", element("a", name, href=f"#{where}")) for where, name in _NAV.items()]),
        aria_label="Sections",
    )
    body = element(
        "body",
        element("a", "To the result", href="#result", class_="skip"),
        _header(found, title),
        navigation,
        element(
            "main",
            element(
                "noscript",
                element("p", "The figures and the sorting need JavaScript; the tables do not.", class_="card"),
            ),
            headline(found),
            sections.leaderboard(found),
            sections.curves(found),
            sections.mattered(found),
            sections.estimators(found),
            sections.pictures(found),
            sections.environment(found, command),
        ),
        element(
            "footer",
            f"Made {found.made[:16].replace('T', ' ')} UTC from the sweep's own files. "
            "Nats per image; smaller is better.",
        ),
        element("div", id="tell", role="status", hidden=True),
        json_element("data", _data(found)),
        raw_element("script", script),
    )
    page = element("html", _head(f"{title} · {shareable(found.name)}", script), body, lang="en")
    return f"<!doctype html>\n{page}\n"


def _head(title: str, script: str) -> Markup:
    """The head: the style, and a policy that lets nothing but it and the script run."""
    style = _assets(".css")
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        raw_element("style", style),
    )


def _header(found: Findings, title: str) -> Markup:
    level, word, sentence = how_it_stands(found.status, found.space, bool(found.rows))
    under = element("div", pill(level, word), element("span", sentence), class_="under")
    eyebrow = element("p", f"Sweep {shareable(found.name)}", class_="eyebrow")
    return element("header", element("div", eyebrow, element("h1", title), under))


def _data(found: Findings) -> str:
    """What the script draws, as JSON: figures by name, and what it tells of each trial, the best first."""
    short = {path: shareable(name) for path, name in names(found.space).items()}
    trials = {
        row.trial: {
            "status": row.status,
            "rank": row.rank,
            "epochs": row.epochs,
            "bound": None if row.validation_negative_elbo is None else number(row.validation_negative_elbo),
            "parameters": [
                [short.get(path, shareable(path)), shareable(value_text(value))]
                for path, value in row.parameters.items()
            ],
        }
        for row in found.rows
    }
    figures = {
        figure.name: figure.model_dump(mode="json", exclude={"note", "title", "empty"})
        for figure in found.figures
        if not figure.empty
    }
    best = None if found.best is None else found.best.trial
    return json.dumps({"best": best, "trials": trials, "figures": figures}, separators=(",", ":"), allow_nan=False)


def _assets(ending: str) -> str:
    folder = files("iafsweep.report") / "assets"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(ending)), key=lambda each: each.name)
    return "\n".join(each.read_text(encoding="utf-8") for each in found)


def _hash(content: str) -> str:
    """The source of a content security policy that allows just this inline text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
