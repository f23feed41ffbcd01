"""``run.log`` and TensorBoard: what a run says of itself while it goes."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from iafsweep.config import RunConfig, Section, dump_config, field_paths, get_path
from iafsweep.errors import RunFolderError
from iafsweep.records import Best, EpochMetrics, Evaluation, Method, bits_text, shown_figures
from iafsweep.run_files.run_folder import RunFolder


class RunLog:
    """``run.log`` and the TensorBoard events of a run, opened and closed together.

    Attributes:
        curves: the TensorBoard events.
        say, warn, error: add a line to ``run.log``.
    """

    def __init__(self, folder: RunFolder, config: RunConfig, epochs_done: int, line: str, warning: str) -> None:
        """Open both.

        Args:
            folder: the run folder.
            config: shown by TensorBoard.
            epochs_done: events of later epochs, of an earlier attempt, are purged.
            line: how the run begins or goes on.
            warning: what should be known of it besides; empty where there is nothing.

        Raises:
            RunFolderError: ``run.log`` is a link, which may lead out of the run folder.
        """
        self._lines = _open_log(folder.log)
        self.say, self.warn, self.error = self._lines.info, self._lines.warning, self._lines.error
        try:
            self.curves = Curves(folder.tensorboard, epochs_done + 1)
            self.curves.add_config(config, epochs_done)
            self.say(line)
            if warning:
                self.warn(warning)
        except BaseException:  # a full disk: nobody else could close it
            _close_log(self._lines)
            raise

    def add_epoch(self, metrics: EpochMetrics) -> None:
        """Add a line on an epoch to ``run.log``."""
        validation = metrics.validation_negative_elbo
        shown = "" if validation is None else f", validation {validation:.2f}"
        bits = bits_text(metrics.train_bits_per_dim if validation is None else metrics.validation_bits_per_dim)
        speed = f"{metrics.images_per_second:.0f} images/s"
        self.say(f"epoch {metrics.epoch}: train {metrics.train_negative_elbo:.2f}{shown} nats{bits}, {speed}")

    def close(self) -> None:
        """Close both; what TensorBoard has not written yet is written."""
        try:
            self.curves.close()
        finally:  # a full disk may refuse the last events
            _close_log(self._lines)


class _LogFile(logging.FileHandler):
    """A log that cannot be written is an error like any other, not a traceback between the lines of a terminal."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Raise what writing raised."""
        if (error := sys.exc_info()[1]) is not None:
            raise error


def _open_log(path: Path) -> logging.Logger:
    """Return a logger that appends lines with their time to ``path``; it belongs to no global tree of loggers.

    Raises:
        RunFolderError: ``path`` is a link, which may lead out of the run folder.
    """
    if path.is_symlink():
        raise RunFolderError(f"{path} is a link, and what it leads to would be written to; remove it")
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
    """TensorBoard events of one run: a scalar a figure and epoch, image grids, and a row of the HParams tab."""

    def __init__(self, folder: Path, first_epoch: int) -> None:
        """Write under ``folder``; events of an earlier attempt from ``first_epoch`` on are purged."""
        self._writer = SummaryWriter(str(folder), purge_step=first_epoch)
        self._events: Any = self._writer.file_writer  # which PyTorch declares to be None

    def add_config(self, config: RunConfig, epoch: int) -> None:
        """Show the configuration as text and in the HParams tab."""
        config = config.published
        self._writer.add_text("config", "    " + dump_config(config).replace("\n", "\n    "), epoch)
        experiment, start, self._end = hparams(hyperparameters(config), dict.fromkeys(FINAL_TAGS))
        for summary in (experiment, start):
            self._events.add_summary(summary)
        self._writer.flush()

    def add_metrics(self, metrics: EpochMetrics) -> None:
        """Add a point to every curve."""
        for name, value in metrics.model_dump(exclude={"epoch"}).items():
            if value is not None:
                self._writer.add_scalar(name.replace("_", "/", 1), value, metrics.epoch)

    def add_image(self, name: str, grid: Tensor, epoch: int) -> None:
        """Add an image grid [C, H, W]."""
        self._writer.add_image(name, grid, epoch)

    def add_end(self, best: Best | None, epoch: int, *, completed: bool) -> None:
        """Add the best validation bound to the run's row of the HParams tab, and close the row if it has completed."""
        if best is not None:
            self._writer.add_scalar(VALIDATION_TAG, best.validation_negative_elbo, epoch)
        if completed:
            self._events.add_summary(self._end)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()


def add_test_figures(folder: Path, evaluation: Evaluation) -> None:
    """Add the figures of an evaluation to the run's row of the HParams tab."""
    with SummaryWriter(str(folder)) as writer:
        for (method, split), each in shown_figures(evaluation.estimates).items():
            if split == "test":
                writer.add_scalar(TEST_TAGS[method], each.nll, evaluation.epoch)


VALIDATION_TAG = "final/validation_negative_elbo"

TEST_TAGS: dict[Method, str] = {
    "negative_elbo": "final/test_negative_elbo",
    "importance_sampling": "final/test_nll_importance_sampling",
    "hais": "final/test_nll_hais",
}

FINAL_TAGS = (VALIDATION_TAG, *TEST_TAGS.values())
"""The scalars that are metrics of a run, nats per image."""


def hyperparameters(config: RunConfig) -> dict[str, int | float | str]:
    """Return every field of data, model and training that is set, by its dotted path.

    The number of epochs is left out: a run may go on for more, and TensorBoard keeps what was written first. Lists are
    text, and so are true and false, which TensorBoard would show as 1 and 0.
    """
    columns = {}
    for path in field_paths(RunConfig):
        value = get_path(config, path)
        is_fixed = path.startswith(("data.", "model.", "training.")) and path != "training.epochs"
        if is_fixed and value is not None:
            is_plain = isinstance(value, int | float | str) and not isinstance(value, bool)
            columns[path] = value if is_plain else str(value) if isinstance(value, Section) else json.dumps(value)
    return columns
