"""The page: one self-contained HTML file, whose content security policy lets it load nothing else."""

import base64
import hashlib
import html
import json
import math
from functools import cache
from importlib.resources import files
from typing import Any

from iafsweep.report.contents import Contents
from iafsweep.report.private import shareable

LIVE = "connect-src 'self'; "
"""Addition to the policy if a server keeps the page up to date: the page may ask it for new data."""
_OURS = {"pictures", "folder", "commands", "load", "train_again", "compare"}
"""Built by the package without private parts, so not filtered as texts are; a data URI would not survive that."""
_PAGE = """<!doctype html>
<html lang="en"><head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head><body{attributes}>
<noscript><p>{title}: {standing} This page needs JavaScript; leaderboard.md has the table without it.</p></noscript>
<div id="page"></div>
<script type="application/json" id="data">{data}</script>
<script type="text/plain" id="licences">{licences}</script>
{scripts}
</body></html>
"""


def html_page(contents: Contents, *, live: bool = False, only: str = "") -> str:
    """Return the report as HTML.

    Args:
        contents: what the page shows.
        live: whether a server keeps the page up to date; the page then asks it for new data.
        only: name of the one chart to show; empty: the whole report.
    """
    style, scripts = _text("libraries/tabulator.css") + _text("report.css"), _scripts()
    policy = (
        f"default-src 'none'; img-src data:; {LIVE if live else ''}style-src {_hash(style)}; "
        f"script-src {' '.join(map(_hash, scripts))}; base-uri 'none'; form-action 'none'"
    )
    attributes = {"data-live": "1" if live else "", "data-only": only}
    return _PAGE.format(
        policy=policy,
        title=html.escape(f"{shareable(contents.title)} · {shareable(contents.name)}"),
        style=_raw(style, "style"),
        attributes="".join(f' {name}="{html.escape(value)}"' for name, value in attributes.items() if value),
        standing=html.escape(shareable(contents.standing.text)),
        data=inside_html(as_json(contents)),
        licences=_raw(_text("libraries/LICENSES.txt"), "script"),
        scripts="\n".join(f"<script>{_raw(script, 'script')}</script>" for script in scripts),
    )


def as_json(contents: Contents) -> str:
    """Return a record as JSON fit to be shared: no text in it identifies the machine it came from."""
    values = contents.model_dump(exclude_none=True, exclude_defaults=True)
    fit = {name: value if name in _OURS else _fit(value) for name, value in values.items()}
    return json.dumps(fit, separators=(",", ":"), allow_nan=False)


def inside_html(text: str) -> str:
    """Return JSON fit for a script element: characters special to HTML, which only its strings hold, are escaped."""
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text


def _fit(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _shareable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_shareable(key): _fit(each) for key, each in value.items()}
    return [_fit(each) for each in value] if isinstance(value, list | tuple) else value


@cache
def _shareable(text: str) -> str:
    return shareable(text)


@cache
def _text(name: str) -> str:
    return (files("iafsweep.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _scripts() -> tuple[str, ...]:
    """Return the libraries' scripts, and our own as one."""
    folder = files("iafsweep.report") / "assets"
    ours = sorted(each.name for each in folder.iterdir() if each.name.endswith(".js"))
    own = '"use strict";\n(() => {\n' + "\n".join(map(_text, ours)) + "})();\n"
    return _text("libraries/echarts.js"), _text("libraries/tabulator.js"), own


def _raw(text: str, element: str) -> str:
    """Return the content of a script or style element unescaped, as it must be.

    Raises:
        ValueError: it would end the element.
    """
    if f"</{element}" in text.lower() or "<!--" in text:
        raise ValueError(f"the content of <{element}> would end it")
    return text


@cache
def _hash(content: str) -> str:
    """Return the content security policy source that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
