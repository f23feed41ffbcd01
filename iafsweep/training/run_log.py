"""``run.log`` and TensorBoard events: the live record of a run."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from iafsweep.config import RunConfig, dump_config
from iafsweep.config.meaning import flattened
from iafsweep.errors import RunFolderError
from iafsweep.records import Best, EpochMetrics, Evaluation, Method, bits_text, shown_figures
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.search_space.candidate import active_values


class RunLog:
    """``run.log`` and the TensorBoard events of a run, opened and closed together.

    Attributes:
        curves: the TensorBoard events.
        say, warn, error: write a line to ``run.log``.
    """

    def __init__(self, folder: RunFolder, config: RunConfig, epochs_done: int, line: str, warning: str) -> None:
        """Open both.

        Args:
            folder: the run folder.
            config: shown in TensorBoard.
            epochs_done: events of later epochs, left by an earlier attempt, are purged.
            line: first line, on how the run starts or resumes.
            warning: what else the user should know; empty if nothing.

        Raises:
            RunFolderError: ``run.log`` is a symbolic link, which may lead out of the run folder.
        """
        self._lines = _open_log(folder.log)
        self.say, self.warn, self.error = self._lines.info, self._lines.warning, self._lines.error
        try:
            self.curves = Curves(folder.tensorboard, epochs_done + 1)
            self.curves.add_config(config, epochs_done)
            self.say(line)
            if warning:
                self.warn(warning)
        except BaseException:  # such as a full disk; nobody else could close the log
            _close_log(self._lines)
            raise

    def add_epoch(self, metrics: EpochMetrics) -> None:
        """Write a line about an epoch to ``run.log``."""
        validation = metrics.validation_negative_elbo
        shown = "" if validation is None else f", validation {validation:.2f}"
        bits = bits_text(metrics.train_bits_per_dim if validation is None else metrics.validation_bits_per_dim)
        speed = f"{metrics.images_per_second:.0f} images/s"
        self.say(f"epoch {metrics.epoch}: train {metrics.train_negative_elbo:.2f}{shown} nats{bits}, {speed}")

    def close(self) -> None:
        """Close both, after flushing the TensorBoard events."""
        try:
            self.curves.close()
        finally:  # a full disk may refuse the last events
            _close_log(self._lines)


class _LogFile(logging.FileHandler):
    """A log file whose write errors are raised, instead of printed as a traceback on the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Re-raise the write error."""
        if (error := sys.exc_info()[1]) is not None:
            raise error


def _open_log(path: Path) -> logging.Logger:
    """Return a logger that appends timestamped lines to ``path``, outside of logging's global hierarchy.

    Raises:
        RunFolderError: ``path`` is a symbolic link, which may lead out of the run folder.
    """
    if path.is_symlink():
        raise RunFolderError(f"{path} is a symbolic link, and the log would be written to its target; remove the link")
    logger = logging.Logger("iafsweep")
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def _close_log(logger: logging.Logger) -> None:
    """Close the files of a logger made by :func:`_open_log`."""
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)


class Curves:
    """TensorBoard events of one run: scalars per epoch, image grids, and a row of the HParams tab."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        """Write to ``folder``; an earlier attempt's events from ``first_epoch`` on are purged."""
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch)
        self._events: Any = self._writer.file_writer  # PyTorch declares it as None

    def add_config(self, config: RunConfig, epoch: int) -> None:
        """Show the configuration as text and in the HParams tab."""
        config = config.published
        self._writer.add_text("config", "    " + dump_config(config).replace("\n", "\n    "), epoch)
        # Without PyTorch's experiment-wide summary: TensorBoard would take the first run's for all of them, whereas it
        # finds the fields that differ from the runs themselves.
        _, start, self._end = hparams(hyperparameters(config), {})
        self._events.add_summary(start)
        self._writer.flush()

    def add_metrics(self, metrics: EpochMetrics) -> None:
        """Add a point to every curve."""
        for name, tag in TAGS.items():
            if (value := getattr(metrics, name)) is not None:
                self._writer.add_scalar(tag, value, metrics.epoch)

    def add_image(self, name: str, png: bytes, shape: Sequence[int], epoch: int) -> None:
        """Add a PNG of shape [C, H, W]; PyTorch's `add_image` would encode it again, and grey as colour."""
        channels, height, width = shape
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=png)
        self._events.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), epoch)

    def add_end(self, best: Best | None, epoch: int, *, completed: bool) -> None:
        """Add the best validation bound to the run's row of the HParams tab; close the row if the run has completed."""
        if best is not None:
            self._writer.add_scalar(VALIDATION_TAG, best.validation_negative_elbo, epoch)
        if completed:
            self._events.add_summary(self._end)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()


def add_test_figures(folder: Path, evaluation: Evaluation) -> None:
    """Add the test figures of an evaluation to the run's row of the HParams tab."""
    with SummaryWriter(str(folder)) as writer:
        for (method, split), each in shown_figures(evaluation.estimates).items():
            if split == "test":
                writer.add_scalar(TEST_TAGS[method], each.nll, evaluation.epoch)


TAGS = {
    "train_negative_elbo": "bound/train",
    "validation_negative_elbo": "bound/validation",
    "train_bits_per_dim": "bits_per_dim/train",
    "validation_bits_per_dim": "bits_per_dim/validation",
    "train_reconstruction": "reconstruction/train",
    "validation_reconstruction": "reconstruction/validation",
    "train_kl": "kl/train",
    "validation_kl": "kl/validation",
    "train_loss": "loss/train",
    "active_units": "posterior/active_units",
    "learning_rate": "schedule/learning_rate",
    "kl_weight": "schedule/kl_weight",
    "gradient_norm": "gradient/norm",
    "clipped_share": "gradient/clipped_share",
    "images_per_second": "speed/images_per_second",
    "seconds": "speed/seconds_per_epoch",
}
"""TensorBoard tag of each metric of an epoch."""

VALIDATION_TAG = "final/bound_validation"

TEST_TAGS: dict[Method, str] = {
    "negative_elbo": "final/bound_test",
    "importance_sampling": "final/nll_test_importance_sampling",
    "hais": "final/nll_test_hais",
}
"""TensorBoard tag of each method's test figure, nats per image."""


def hyperparameters(config: RunConfig) -> dict[str, int | float | str]:
    """Return every field of data, model and training that is set and has an effect, by its dotted path.

    The number of epochs is left out: a run may be extended, and TensorBoard keeps the first value written. Lists become
    text, as do true and false, which TensorBoard would show as 1 and 0.
    """
    columns: dict[str, int | float | str] = {}
    for path, value in flattened(active_values(config)):
        if path != "training.epochs" and value is not None:
            is_plain = isinstance(value, int | float | str) and not isinstance(value, bool)
            columns[path] = value if is_plain else json.dumps(value)
    return columns
