"""Samples and reconstructions of the best trials, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from iafsweep.records import LeaderboardRow, Record
from iafsweep.sweep.storage.folder import SweepFolder
from iafsweep.training import RunFolder

MOST_TRIALS = 4
_MOST_PIXELS = 2_000_000
_MOST_BYTES = 4_000_000


class Pictures(Record):
    """What a trial draws.

    Attributes:
        trial: its name.
        samples: new images, a data URI; None if there are none on disk.
        reconstructions: inputs beside their reconstructions; None likewise.
    """

    trial: str
    samples: str | None
    reconstructions: str | None


def best_pictures(folder: SweepFolder, rows: Sequence[LeaderboardRow], problems: list[str]) -> list[Pictures]:
    """Return the pictures of the best trials that have any.

    Args:
        folder: the sweep folder.
        rows: the trials, the best first.
        problems: gets a sentence for each file that cannot be shown.
    """
    found: list[Pictures] = []
    for row in rows:
        if len(found) == MOST_TRIALS:
            break
        run = RunFolder(folder.trial(row.trial))
        samples, reconstructions = (data_uri(path, problems) for path in (run.samples, run.reconstructions))
        if samples or reconstructions:
            found.append(Pictures(trial=row.trial, samples=samples, reconstructions=reconstructions))
    return found


def data_uri(path: Path, problems: list[str]) -> str | None:
    """Return a PNG file as a data URI, read and written anew so that nothing but its pixels is passed on."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        with Image.open(path, formats=("PNG",)) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError("too large")
            pixels = image.convert("RGB")
        grey = pixels.convert("L")
        same = all(channel.tobytes() == grey.tobytes() for channel in pixels.split())
        buffer = io.BytesIO()
        (grey if same else pixels).save(buffer, format="PNG", optimize=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: a broken PNG
        problems.append(f"{path.parent.name}/{path.name} cannot be shown ({type(error).__name__})")
        return None
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
