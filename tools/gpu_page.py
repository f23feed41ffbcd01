"""Write the GPU section of docs/performance.md: `python -m tools.gpu_page OUT/gpu.json`.

`python -m benchmarks.gpu OUT` writes that file. The section replaces the text between two marks in the page.
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
    """Write the section into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the file gpu.json")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to update (default: docs/performance.md)")
    arguments = parser.parse_args()
    found = json.loads(arguments.results.read_text(encoding="utf-8"))
    try:
        made = page(arguments.page.read_text(encoding="utf-8"), found)
    except ValueError as error:
        parser.error(str(error))
    write_text(arguments.page, made)


def page(text: str, found: dict[str, Any]) -> str:
    """Return the page with its section written from these results.

    Raises:
        ValueError: the results come from a rehearsal or name no device, or the page lacks the marks.
    """
    device = found["steps"].get("machine", {}).get("figures", {}).get("device")
    if found["rehearsal"] or not device:
        raise ValueError("these results are not of a GPU: they are from a rehearsal, or the first step failed")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"the page must contain each of these marks once: {BEGIN} {END}")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    when = f"`python -m benchmarks.gpu`, {found['began'][:10]}, {found['seconds']:.0f} s in total."
    return f"{before}{BEGIN}\n\n{when}\n\n{section(found)}\n{_failures(found)}{END}{after}"


def _failures(found: dict[str, Any]) -> str:
    """List every step that did not complete, so that missing figures do not go unnoticed."""
    lines = [
        f"- `{name}`: {each['status']} ({each['remark']})\n"
        for name, each in found["steps"].items()
        if each["status"] != "done"
    ]
    return "".join(["Steps skipped or not completed:\n\n", *lines, "\n"]) if lines else ""


if __name__ == "__main__":
    main()
