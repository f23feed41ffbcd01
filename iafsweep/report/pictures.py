"""Samples and reconstructions of the best trials, as data URIs."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from iafsweep.records import AUTOREGRESSIVE, LeaderboardRow
from iafsweep.report.contents import Pictures
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.sweep.storage.folder import SweepFolder

MOST_TRIALS = 16
"""Number of trials, the best that have any, with pictures on the page."""
_BYTES_IN_ALL = 1_200_000
_MOST_PIXELS = 2_000_000
_MOST_BYTES = 4_000_000
_AUTOREGRESSIVE = {
    "samples_how": f"{AUTOREGRESSIVE}, drawn pixel by pixel",
    "reconstructions_how": f"{AUTOREGRESSIVE}; the input, a sample given its latent variables, and the most probable "
    "value of each pixel given the latent variables and the input's own earlier pixels",
}


def best_pictures(folder: SweepFolder, rows: Sequence[LeaderboardRow], problems: list[str]) -> dict[str, Pictures]:
    """Return the pictures of the best trials that have any, as many as fit on a page of moderate size.

    Args:
        folder: the sweep folder.
        rows: the trials, the best first.
        problems: gets a sentence for each file that cannot be shown.
    """
    found: dict[str, Pictures] = {}
    size = 0
    for row in rows:
        if len(found) == MOST_TRIALS or size > _BYTES_IN_ALL:
            break
        run = RunFolder(folder.trial(row.trial))
        samples, reconstructions = (data_uri(path, problems) for path in (run.samples, run.reconstructions))
        if samples or reconstructions:
            how = _AUTOREGRESSIVE if row.autoregressive else {}
            found[row.trial] = Pictures(samples=samples, reconstructions=reconstructions, **how)
            size += len(samples or "") + len(reconstructions or "")
    return found


def data_uri(path: Path, problems: list[str]) -> str | None:
    """Return a PNG file as a data URI, re-encoded so that it holds nothing but the pixels."""
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
        (grey if same else pixels).save(buffer, format="PNG")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: a broken PNG
        problems.append(f"{path.parent.name}/{path.name} cannot be shown ({type(error).__name__})")
        return None
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
