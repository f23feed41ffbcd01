"""HTML that is escaped by construction: whatever is not made by :func:`element` is text."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

_VOID = {"meta", "img", "input", "br", "col"}


class Markup(str):
    """HTML made here, which needs no escaping."""

    __slots__ = ()


def element(name: str, /, *content: Markup | str | None | Iterable[Markup], **attributes: object) -> Markup:
    """Return an element.

    Args:
        name: its name.
        content: what is in it; plain text is escaped, None left out.
        attributes: ``class_`` is ``class``, ``aria_sort`` is ``aria-sort``; None and False are left out.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        written = key.rstrip("_").replace("_", "-")
        parts.append(f" {written}" if value is True else f' {written}="{html.escape(str(value), quote=True)}"')
    parts.append(">")
    if name not in _VOID:
        parts += [*map(_inside, content), f"</{name}>"]
    return Markup("".join(parts))


def raw_element(name: str, text: str, /, **attributes: str) -> Markup:
    """Return a script or style element, whose content must not be escaped.

    Raises:
        ValueError: the content would end the element.
    """
    if f"</{name}" in text.lower() or "<!--" in text:
        raise ValueError(f"the content of <{name}> would end it")
    opened = element(name, **attributes).removesuffix(f"</{name}>")
    return Markup(f"{opened}{text}</{name}>")


def json_element(identifier: str, text: str) -> Markup:
    """Return JSON as a data block that a script reads; ``text`` is any valid JSON.

    The marks with a meaning in HTML occur in JSON's texts alone, where they can be written as escapes.
    """
    json.loads(text)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return raw_element("script", text, type="application/json", id=identifier)


def _inside(content: Markup | str | None | Iterable[Markup]) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return html.escape(content, quote=True)
    return "".join(_inside(part) for part in content)
