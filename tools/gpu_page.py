"""Write the GPU section of docs/performance.md: `python -m tools.gpu_page OUT/gpu.json`.

The file is what `python -m benchmarks.gpu OUT` leaves; the section stands between two marks in the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.gpu.summary import section
from iafsweep.atomic import write_text

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN = "<!-- Written by tools/gpu_page.py; do not edit. -->"
END = "<!-- End of what tools/gpu_page.py writes. -->"


def main() -> None:
    """Write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="gpu.json")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page (default: docs/performance.md)")
    arguments = parser.parse_args()
    found = json.loads(arguments.results.read_text(encoding="utf-8"))
    try:
        made = page(arguments.page.read_text(encoding="utf-8"), found)
    except ValueError as error:
        parser.error(str(error))
    write_text(arguments.page, made)


def page(text: str, found: dict[str, Any]) -> str:
    """Return a page whose section is that of these results.

    Raises:
        ValueError: they are a rehearsal's or name no device, or the page has no marks.
    """
    device = found["steps"].get("machine", {}).get("figures", {}).get("device")
    if found["rehearsal"] or not device:
        raise ValueError("these results are not of a GPU: a rehearsal, or its first step has failed")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page must have each of these marks once: {BEGIN} {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    when = f"`python -m benchmarks.gpu`, {found['began'][:10]}, {found['seconds']:.0f} s in all."
    return f"{before}{BEGIN}\n\n{when}\n\n{section(found)}\n{_failures(found)}{END}{after}"


def _failures(found: dict[str, Any]) -> str:
    """Say of each step that did not end well what became of it: figures without it would look whole."""
    lines = [
        f"- `{name}`: {each['status']} ({each['remark']})\n"
        for name, each in found["steps"].items()
        if each["status"] != "done"
    ]
    return "".join(["Left out or broken off:\n\n", *lines, "\n"]) if lines else ""


if __name__ == "__main__":
    main()
