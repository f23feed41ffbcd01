"""A trained run or an exported model, read back for use: its model, its figures, log-likelihoods of new images."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from iafsweep.api.own_images import Given, with_images
from iafsweep.config import RunConfig
from iafsweep.data import load_test_images, load_training_images, seen
from iafsweep.data.fingerprint import fingerprint, refuse_other_images, unknown_images
from iafsweep.data_root import default_data_root
from iafsweep.errors import RunFolderError
from iafsweep.estimators.importance import importance_sampling
from iafsweep.estimators.noise import NoiseBlocks
from iafsweep.evaluation.bridges import BRIDGES, encode
from iafsweep.evaluation.memory import halving_rows
from iafsweep.evaluation.scoring import noise_blocks, rows_without_gradient
from iafsweep.models import VAE, are_levels, checked_images, checked_whole, folded, refuse_unfit
from iafsweep.models.precision import full_precision
from iafsweep.records import DeviceChoice, EpochMetrics, Evaluation, Split
from iafsweep.results.export import export_model, origin_of
from iafsweep.results.model_folder import Origin, card_of, read_model, weights_of
from iafsweep.run_files.metrics_file import read
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.training import load_trained_model, resolve_device
from iafsweep.training.checkpoint import checkpoint_digest

_IMAGES_AT_A_TIME = 100


@dataclass(frozen=True)
class Run:
    """A trained run or trial, or an exported model.

    Attributes:
        path: its folder.
        config: its configuration.
        model: the autoencoder, in eval mode, its parameters without gradient.
        epoch: epochs that model had been trained.
        metrics: one record an epoch.
        evaluation: the figures of this model; None if it was not scored (or not since it was trained further), or they
            are damaged.
        problems: what could not be read and is left out, a sentence each.

    Example:
        >>> import iafsweep
        >>> run = iafsweep.load_run("runs/best")
        >>> run.epoch <= run.config.training.epochs, len(run.metrics) == run.config.training.epochs
        (True, True)
    """

    path: Path
    config: RunConfig
    model: VAE
    epoch: int
    metrics: tuple[EpochMetrics, ...]
    evaluation: Evaluation | None
    problems: tuple[str, ...] = ()
    _origin: Origin | None = field(default=None, repr=False)

    def images(
        self,
        split: Split = "test",
        count: int | None = None,
        data_root: str | Path | None = None,
        images: Given = None,
    ) -> Tensor:
        """Return images of the data set this model was trained on, as the model sees them where it is scored.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: the first so many; None: all.
            data_root: folder of data sets; None: ``$IAFSWEEP_DATA``, else a cache folder.
            images: one's own that it was trained on, or where they are; None: where they were. An exported model does
                not say where.

        Returns:
            Float32 [B, *image_shape] on the model's device: bits, zeros and ones, or, without binarisation, levels.

        Raises:
            TypeError: `count` is no whole number.
            ValueError: there is no such split, or `count` is below 0 or more than the split has.
            DataError: the data set is not there and cannot be had, or is not the one that it was trained on. A warning
                says where that is not known, as of runs of earlier versions.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> x = run.images("validation", 4)
            >>> x.shape, sorted(set(x.flatten().tolist()))
            (torch.Size([4, 1, 28, 28]), [0.0, 1.0])
        """
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")
        config, own = with_images(self.config, images)
        data, root = config.data, (Path(data_root) if data_root is not None else default_data_root()).expanduser()
        known = self._origin.images if self._origin else RunFolder(self.path).read_fingerprints()
        both, test = load_training_images(data, root, own), load_test_images(data, root, own)
        refuse_other_images(self.path, known, {**both.fingerprints, "test": fingerprint(test)})
        grey = {"train": both.training, "validation": both.validation, "test": test}[split]
        if not known:
            warnings.warn(unknown_images(str(self.path), data.source), stacklevel=2)
        if count is not None and (count := checked_whole("count", count, 0)) > len(grey):
            raise ValueError(f"count is {count}, and there are {len(grey)} {split} images")
        return seen(grey[:count], data, split).to(next(self.model.parameters()).device)

    def export(self, to: str | Path) -> Path:
        """Write the model to one folder that :func:`load_run` reads back, bit for bit, on any machine.

        It holds ``model.safetensors``, ``config.toml``, ``metrics.jsonl``, ``evaluation.json`` (if it was scored) and a
        model card, ``README.md``, with the figures and how they were measured. No file names this machine's folders.

        Args:
            to: a new or empty folder.

        Returns:
            The folder, absolute.

        Raises:
            RunFolderError: the folder is not empty, or cannot be written.
            RuntimeError: ``model`` was put into training mode, or into bfloat16 or the like.

        Example:
            >>> import iafsweep
            >>> folder = iafsweep.load_run("runs/best").export("models/mine")
            >>> sorted(path.name for path in folder.iterdir())
            ['README.md', 'config.toml', 'metrics.jsonl', 'model.safetensors']
        """
        refuse_unfit(self.model)
        origin = self._origin or origin_of(RunFolder(self.path), self.config, self.epoch)
        return export_model(Path(to), self.model, self.config, origin, self.metrics, self.evaluation)

    def log_likelihood(self, x: Tensor, samples: int = 1000, seed: int = 0) -> Tensor:
        """Estimate log p(x) by importance sampling with the flow posterior, a lower bound in expectation.

        Args:
            x: [B, *image_shape] of any dtype: bits, zeros and ones, or levels, as :meth:`images` has them.
            samples: posterior samples an image, S.
            seed: of the noise; the same seed gives the same figures.

        Returns:
            Nats, [B], float64, on the CPU.

        Raises:
            TypeError: `x` is no tensor of real numbers, or `samples` or `seed` no whole number.
            ValueError: `x` holds anything but bits (or levels), is of another shape, or `samples` is below 1.
            RuntimeError: ``model`` was put into training mode, or into bfloat16 or the like.
            torch.cuda.OutOfMemoryError: the GPU cannot hold one sample of each of a hundred images.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> nats = run.log_likelihood(run.images("test", 4), samples=20)
            >>> nats.shape, nats.dtype, bool((nats < 0).all())
            (torch.Size([4]), torch.float64, True)
        """
        refuse_unfit(self.model)
        samples, seed = checked_whole("samples", samples, 1), checked_whole("seed", seed, 0)
        image = self.model.image
        if isinstance(x, Tensor) and image.dimensions is None and not x.is_complex() and not are_levels(x, image):
            raise ValueError("x must hold zeros and ones only; binarise grey values first: iafsweep.data.binarise")
        checked = checked_images(x, image, next(self.model.parameters()))
        model = folded(self.model)
        found = []
        for first in range(0, len(checked), _IMAGES_AT_A_TIME):
            part = checked[first : first + _IMAGES_AT_A_TIME]
            noise = noise_blocks(seed, "log_likelihood", "", 0, range(first, first + len(part)))
            found.append(_sampled(model, part, samples, noise).cpu())
        return torch.cat(found) if found else torch.empty(0, dtype=torch.float64)


def _sampled(model: VAE, x: Tensor, samples: int, noise: NoiseBlocks) -> Tensor:
    def sample(rows: int) -> Tensor:
        bridge = BRIDGES["posterior"](model, x, encode(model, x))
        return importance_sampling(bridge, samples, noise.open(), rows_per_chunk=rows).log_likelihood

    with full_precision():
        return halving_rows(sample, rows_without_gradient(model), len(x))


def load_run(path: str | Path, device: DeviceChoice = "auto") -> Run:
    """Read a trained run (a folder of `run_single.py`, or of a sweep's trial), or an exported model.

    The checkpoint is the one that its configuration scores (``evaluation.checkpoint``). No code from the folder is run,
    and nothing outside it is read.

    Args:
        path: the folder; ``~`` is the home folder.
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.

    Raises:
        RunFolderError: this is no such folder, or a file in it is missing, damaged, or of another model; figures
            that are damaged are left out instead, and named in ``problems``.
        ConfigError: its configuration breaks a rule.
        ValueError: there is no such device.
        UserError: cuda was asked for and there is none.

    Example:
        >>> import iafsweep
        >>> iafsweep.load_run("runs/best").config.data.source
        'mnist_mini'
    """
    where = resolve_device(device)
    folder = RunFolder(Path(path).expanduser())
    if folder.path.is_file():
        raise RunFolderError(f"{folder.path} is a file; name the folder of a run or of an exported model")
    if (folder.path / "trials.jsonl").exists() and not folder.config.exists():
        raise RunFolderError(
            f"{folder.path} is the folder of a sweep: read it with iafsweep.load_sweep, "
            f"or one trial of it from {folder.path}/trials"
        )
    if weights_of(folder).exists():
        trained, origin = read_model(folder, where)
        checkpoint = origin.checkpoint
    else:
        config = folder.read_config()
        if card_of(folder).exists() and not folder.last.exists() and not folder.best.exists():
            raise RunFolderError(f"{weights_of(folder)} is missing: this is an exported model without its weights")
        checkpoint = config.evaluation.checkpoint
        trained, origin = load_trained_model(folder, checkpoint, where), None
    evaluation, problems = None, tuple[str, ...]()
    try:
        evaluation = own_figures(folder, checkpoint, trained.epoch)
    except RunFolderError as error:
        problems = (f"the figures are left out: {error}",)
    return Run(
        path=folder.path,
        config=trained.config,
        model=trained.model.requires_grad_(requires_grad=False),
        epoch=trained.epoch,
        metrics=tuple(read(folder.metrics)),
        evaluation=evaluation,
        problems=problems,
        _origin=origin,
    )


def own_figures(folder: RunFolder, checkpoint: Literal["best", "last"], epoch: int) -> Evaluation | None:
    """Return the figures of a checkpoint: of the same name, epoch and, where they say it, digest of the file.

    A model folder has no checkpoint file any more; there the name and epoch decide.

    Args:
        folder: of a run, or a model folder.
        checkpoint: which checkpoint.
        epoch: the epoch that it holds.

    Returns:
        None if it was not scored, or the figures there are of other weights.

    Raises:
        RunFolderError: ``evaluation.json`` is damaged, or the checkpoint is missing.
    """
    if not folder.evaluation.exists():
        return None
    found = folder.read_evaluation()
    if (found.checkpoint, found.epoch) != (checkpoint, epoch):
        return None
    if found.checkpoint_digest is None or weights_of(folder).exists():
        return found
    return found if checkpoint_digest(folder, checkpoint)[:16] == found.checkpoint_digest else None
