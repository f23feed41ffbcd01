"""The small table that a notebook shows for a run or a sweep."""

from collections.abc import Iterable, Sequence
from html import escape


def small_table(about: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a line of text and a table below it as HTML; all texts are escaped."""
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
    return f"<div>{escape(about)}</div>{table}"
