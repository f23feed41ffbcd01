"""``metrics.jsonl``: one line per epoch, appended; on resume, cut back to the epochs of the checkpoint."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from iafsweep.atomic import write_text
from iafsweep.errors import RunFolderError
from iafsweep.records import EpochMetrics
from iafsweep.version import VERSION


def append(path: Path, metrics: EpochMetrics) -> None:
    """Append one line and flush it to disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(metrics.model_dump_json() + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[EpochMetrics]:
    """Return the metrics of all complete lines; a last line whose writing was interrupted is left out.

    Raises:
        RunFolderError: the file is missing, or a line other than the last is damaged.
    """
    return _parse(path, _complete_lines(path))


def cut(path: Path, epochs: int) -> list[EpochMetrics]:
    """Drop every line after the first ``epochs``, damaged or not, and return the metrics of those kept.

    Raises:
        RunFolderError: the first lines are not those of epochs 1, 2, ..., ``epochs``.
    """
    kept = _parse(path, _complete_lines(path)[:epochs])
    if [row.epoch for row in kept] != list(range(1, epochs + 1)):
        raise RunFolderError(f"{path} does not hold epochs 1 to {epochs}, one per line, as its checkpoint requires")
    write_text(path, "".join(row.model_dump_json() + "\n" for row in kept))
    return kept


def _complete_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing") from None
    # The part after the last newline is empty or an unfinished line.
    return text.split("\n")[:-1]


def _parse(path: Path, lines: Sequence[str]) -> list[EpochMetrics]:
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(EpochMetrics.model_validate_json(line))
        except ValidationError as error:
            if strange := [each["loc"][-1] for each in error.errors() if each["type"] == "extra_forbidden"]:
                raise RunFolderError(
                    f"{path}, line {number} has `{strange[0]}`, which this version ({VERSION}) does not know; use the "
                    f"version that wrote it (config.toml in the same folder names it)"
                ) from None
            raise RunFolderError(f"{path}, line {number} is damaged: {line[:60]!r}") from None
    return rows
