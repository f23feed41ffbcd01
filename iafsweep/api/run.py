"""A trained run or an exported model, read back for use: its model, its figures, log-likelihoods of new images."""

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from iafsweep.api.news import RunNews
from iafsweep.api.own_images import Given, with_images
from iafsweep.api.scoring.asked import Asked, refuse_budget_alone, with_hais
from iafsweep.api.scoring.likelihoods import LogLikelihoods, annealed, sampled
from iafsweep.api.scoring.score import score as score_run
from iafsweep.api.shown.faults import faults_in_words
from iafsweep.api.shown.html import small_table
from iafsweep.api.shown.progress import Shown
from iafsweep.api.shown.runs import run_news
from iafsweep.config import RunConfig
from iafsweep.data import load_test_images, load_training_images, seen
from iafsweep.data.fingerprint import fingerprint, refuse_other_images, unknown_images
from iafsweep.data_root import absolute_data_root, default_data_root
from iafsweep.errors import PluginError, RunFolderError, UserError
from iafsweep.models import VAE, are_levels, checked_images, checked_whole, count_parameters, refuse_unfit
from iafsweep.records import FIGURE_NAMES, DeviceChoice, EpochMetrics, Evaluation, Split, details_of, details_text
from iafsweep.results.export import export_model, origin_of
from iafsweep.results.model_folder import Origin, card_of, read_model, weights_of
from iafsweep.run_files.metrics_file import read
from iafsweep.run_files.run_folder import RunFolder
from iafsweep.signals import handing_on
from iafsweep.texts import readable_settings
from iafsweep.training import TrainedModel, load_trained_model, resolve_device
from iafsweep.training.checkpoint import checkpoint_digest
from iafsweep.training.trained import trained_epoch

Likelihood = Literal["importance_sampling", "hais"]
"""How log p(x) is estimated."""


@dataclass(eq=False, repr=False)
class Run:
    """A trained run or trial, or an exported model.

    Its attributes keep the state that was read, except ``evaluation``, which :meth:`evaluate` updates.

    Attributes:
        path: its folder.
        config: its configuration.
        epoch: number of epochs for which ``model`` was trained.
        metrics: one record per epoch.
        evaluation: the figures of ``model``; None if it was not scored (or not since it was trained further), or if
            they are damaged.
        problems: what could not be read and is left out, one sentence each.

    Example:
        >>> import iafsweep
        >>> run = iafsweep.load_run("runs/best")
        >>> run.epoch <= run.config.training.epochs, len(run.metrics) == run.config.training.epochs
        (True, True)
    """

    path: Path
    config: RunConfig
    epoch: int
    metrics: tuple[EpochMetrics, ...]
    evaluation: Evaluation | None
    problems: tuple[str, ...] = ()
    _origin: Origin | None = None
    _images: Given = None
    _data_root: Path = field(default_factory=default_data_root)
    _device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @cached_property
    def model(self) -> VAE:
        """The autoencoder, in eval mode; its parameters do not require gradients.

        Raises:
            PluginError: a part of it belongs to a plugin that is not loaded; the figures are known without it.
            RunFolderError: the run was trained further since it was read without its plugin.
        """
        # Only of a run that was read without its plugin: of others, load_run sets the model.
        trained = load_trained_model(RunFolder(self.path), self.config.evaluation.checkpoint, self._device)
        if trained.epoch != self.epoch:
            raise RunFolderError(f"{self.path} was trained further since it was read; read it again")
        return _fixed(trained)

    def __repr__(self) -> str:
        lines = [f"<Run {self.path}: {self._about()}"]
        lines += [f"  {name}: {figure}" for name, figure in self._figures()]
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        return small_table(f"{self.path.name}: {self._about()}", ("figure", "nats per image"), self._figures())

    def _about(self) -> str:
        try:
            return f"epoch {self.epoch}, {count_parameters(self.model):,} parameters"
        except PluginError:
            return f"epoch {self.epoch}, model of a plugin that is not loaded"

    def _figures(self) -> list[tuple[str, str]]:
        """Return the model's known figures, as names and texts."""
        found = []
        if self.metrics and (best := self.metrics[min(self.epoch, len(self.metrics)) - 1]):
            bound = best.validation_negative_elbo
            words = details_text(details_of(None, autoregressive=self.config.model.decoder.is_autoregressive))
            found += [] if bound is None else [("validation -ELBO", f"{bound:.2f}{words}")]
        for each in self.evaluation.estimates if self.evaluation is not None else ():
            if each.split == "test":
                doubt = "" if each.untrusted_share is None else f", {each.untrusted_share:.0%} untrusted"
                settings = f", {readable_settings(each.settings)}" if each.method != "negative_elbo" else ""
                name = f"test {FIGURE_NAMES[each.method]}{settings} ({each.images:,} images)"
                found.append((name, f"{each.nll:.2f} ± {each.standard_error:.2f}{doubt}{details_text(each.details)}"))
        return found

    def images(
        self,
        split: Split = "test",
        count: int | None = None,
        data_root: str | Path | None = None,
        images: Given = None,
    ) -> Tensor:
        """Return images of the data set that the model was trained on, as the model sees them when it is scored.

        Args:
            split: ``train``, ``validation`` or ``test``.
            count: number of images, from the first on; None: all.
            data_root: folder of data sets; None: as given to :func:`load_run` or :func:`train`.
            images: your own images that the model was trained on, or their path; None: as given to :func:`load_run` or
                :func:`train`, else at the path in the configuration, which an exported model does not have.

        Returns:
            Float32 [B, *image_shape] on the model's device: bits (0 and 1), or, without binarisation, levels.

        Raises:
            TypeError: `count` is not an integer.
            ValueError: there is no such split, or `count` is negative or larger than the split.
            DataError: the data set is missing and cannot be downloaded, or is not the one that the model was trained
                on. If that is not recorded, as in runs of earlier versions, a warning says so.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> x = run.images("validation", 4)
            >>> x.shape, sorted(set(x.flatten().tolist()))
            (torch.Size([4, 1, 28, 28]), [0.0, 1.0])
        """
        if split not in get_args(Split):
            raise ValueError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")
        config, own = with_images(self.config, self._images if images is None else images)
        data, root = config.data, self._data_root if data_root is None else absolute_data_root(data_root)
        known = self._origin.images if self._origin else RunFolder(self.path).read_fingerprints()
        both, test = load_training_images(data, root, own), load_test_images(data, root, own)
        refuse_other_images(self.path, known, {**both.fingerprints, "test": fingerprint(test)})
        grey = {"train": both.training, "validation": both.validation, "test": test}[split]
        if not known:
            warnings.warn(unknown_images(str(self.path), data.source), stacklevel=2)
        if count is not None and (count := checked_whole("count", count, 0)) > len(grey):
            raise ValueError(f"count is {count}, but there are only {len(grey)} {split} images")
        return seen(grey[:count], data, split).to(next(self.model.parameters()).device)

    def export(self, to: str | Path) -> Path:
        """Write the model to one folder that :func:`load_run` reads back, bit for bit, on any machine.

        It holds ``model.safetensors``, ``config.toml``, ``metrics.jsonl``, ``evaluation.json`` (if it was scored) and a
        model card, ``README.md``, with the figures and how they were measured. No file contains a path of this machine.

        Args:
            to: a new or empty folder.

        Returns:
            The absolute path of the folder.

        Raises:
            RunFolderError: the folder is not empty, or cannot be written.
            RuntimeError: ``model`` was put into training mode, or into a precision below float32.

        Example:
            >>> import iafsweep
            >>> folder = iafsweep.load_run("runs/best").export("models/mine")
            >>> sorted(path.name for path in folder.iterdir())
            ['README.md', 'config.toml', 'metrics.jsonl', 'model.safetensors']
        """
        refuse_unfit(self.model)
        origin = self._origin or origin_of(RunFolder(self.path), self.config, self.epoch)
        return export_model(Path(to), self.model, self.config, origin, self.metrics, self.evaluation)

    def log_likelihood(
        self,
        x: Tensor,
        samples: int = 1000,
        seed: int = 0,
        *,
        method: Likelihood = "importance_sampling",
        hais: str | None = None,
    ) -> Tensor:
        """Estimate log p(x) of each image, a lower bound in expectation; :meth:`score` also says whether to trust it.

        Args:
            x: [B, *image_shape] of any dtype: bits (0 and 1), or levels, as :meth:`images` returns them.
            samples: posterior samples per image, S, for importance sampling.
            seed: seed of the noise; the same seed gives the same estimates.
            method: importance sampling with the flow posterior, or Hamiltonian annealed importance sampling, ``hais``.
            hais: the start of annealing, optionally with temperatures x leapfrog steps x chains, such as
                ``posterior:80x3x8``; None: as the run's configuration says.

        Returns:
            Log-likelihoods in nats, [B], float64, on the CPU.

        Raises:
            TypeError: `x` is not a tensor of real numbers, or `samples` or `seed` is not an integer.
            ValueError: `x` holds values other than bits (or levels) or has another shape, `samples` is below 1, or
                `seed` is negative.
            UserError: there is no such method, or `hais` is not understood.
            RuntimeError: ``model`` was put into training mode, or into a precision below float32.
            torch.cuda.OutOfMemoryError: the GPU cannot hold one sample for each of a hundred images.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> nats = run.log_likelihood(run.images("test", 4), samples=20)
            >>> nats.shape, nats.dtype, bool((nats < 0).all())
            (torch.Size([4]), torch.float64, True)
        """
        return self.score(x, samples, seed, method=method, hais=hais).log_likelihood

    def score(
        self,
        x: Tensor,
        samples: int = 1000,
        seed: int = 0,
        *,
        method: Likelihood = "importance_sampling",
        hais: str | None = None,
    ) -> LogLikelihoods:
        """Estimate log p(x) as :meth:`log_likelihood` does, with diagnostics of the importance weights behind it.

        The arguments and errors are those of :meth:`log_likelihood`.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/best")
            >>> found = run.score(run.images("test", 4), method="hais", hais="posterior:5x2x4")
            >>> found.settings, found.log_likelihood.shape, found.untrusted.dtype
            ('posterior 5x2x4', torch.Size([4]), torch.bool)
        """
        refuse_unfit(self.model)
        samples, seed = checked_whole("samples", samples, 1), checked_whole("seed", seed, 0)
        if method not in get_args(Likelihood):
            raise UserError(f"method must be one of {', '.join(get_args(Likelihood))}, got {method!r}")
        if hais is not None and (method != "hais" or hais == "off"):
            raise UserError(
                f"hais={hais!r} does not go with method={method!r}; for HAIS, use method='hais' and a start, such as "
                f"hais='posterior:80x3x8'"
            )
        image = self.model.image
        if isinstance(x, Tensor) and image.dimensions is None and not x.is_complex() and not are_levels(x, image):
            raise ValueError("x must hold zeros and ones only; binarise grey values first with iafsweep.data.binarise")
        checked = checked_images(x, image, next(self.model.parameters()))
        if method == "importance_sampling":
            return sampled(self.model, checked, samples, seed)
        evaluation = self.config.evaluation
        if hais is not None:
            evaluation = evaluation.model_copy(update={"hais": with_hais(evaluation.hais, hais)})
        return annealed(self.model, checked, evaluation, seed)

    def evaluate(
        self,
        *,
        importance_sampling: int | None = None,
        hais: str | None = None,
        images: int | None = None,
        sandwich: int | None = None,
        until_error: float | None = None,
        settings: Mapping[str, object] | None = None,
        threads: int | None = None,
        progress: Shown | RunNews = "auto",
    ) -> Evaluation:
        """Score the run on test images again and add the figures to its folder, as ``--evaluate-only`` does.

        Existing figures with other settings are kept. Arguments that are not given are as the run's configuration says;
        without any, its own figures are measured again.

        Args:
            importance_sampling: number of samples per image.
            hais: ``off``, or the start of annealing, optionally with temperatures x leapfrog steps x chains, such as
                ``posterior:80x3x8``.
            images: number of test images for both methods, from the first on.
            sandwich: number of images, simulated from the model, on which to measure a lower and an upper bound.
            until_error: add samples or temperatures until the estimator's error is below this many nats.
            settings: other fields of [evaluation] by their paths, such as ``{"evaluation.seed": 1}``.
            threads: number of CPU threads, as in :func:`iafsweep.train`.
            progress: as in :func:`iafsweep.train`.

        Returns:
            All figures of the checkpoint, which are also the new ``evaluation``.

        Raises:
            UserError: an argument breaks a rule, the run is in use, its images are missing or have changed, or this is
                an exported model, which keeps the figures of its run.

        Example:
            >>> import iafsweep
            >>> run = iafsweep.load_run("runs/scored")
            >>> found = run.evaluate(importance_sampling=5, images=20, settings={"evaluation.bound_images": 10},
            ...                      progress="off")
            >>> [each.settings for each in found.estimates if each.method == "importance_sampling"]
            ['5 samples']
        """
        if self._origin is not None:
            raise RunFolderError(
                f"{self.path} is an exported model, which keeps the figures of its run; score that run and export it "
                f"again, or score images: run.score(run.images('test', 100))"
            )
        asked = Asked(importance_sampling, hais, images, sandwich, until_error, settings or {})
        evaluation = asked.of(self.config)
        refuse_budget_alone(asked.values, evaluation.until_error.target)
        folder, news = RunFolder(self.path), run_news(progress)
        config = folder.read_config().model_copy(update={"evaluation": evaluation})
        device: DeviceChoice = "cuda" if next(self.model.parameters()).is_cuda else "cpu"
        with handing_on(), faults_in_words(self.path, lambda: "run.evaluate(...)"):
            found = score_run(
                config, folder, self._data_root, images=self._images, device=device, threads=threads, news=news
            )
        self.evaluation = own_figures(folder, self.config.evaluation.checkpoint, self.epoch)
        return found


def load_run(
    path: str | Path, device: DeviceChoice = "auto", *, images: Given = None, data_root: str | Path | None = None
) -> Run:
    """Read a trained run (a folder of `run_single.py` or of a sweep's trial) or an exported model.

    The checkpoint is the one that its configuration scores (``evaluation.checkpoint``). No code from the folder is run,
    and nothing outside it is read. If a part of a run's model belongs to a plugin that is not loaded, only what needs
    the model raises PluginError; load the plugin first, or before you use the model.

    Args:
        path: the folder; ``~`` is the home folder.
        device: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.
        images: your own images that it was trained on, or their path, for methods that need them; None: at the path in
            its configuration.
        data_root: folder of data sets; None: ``$IAFSWEEP_DATA``, else a cache folder.

    Raises:
        RunFolderError: it is no such folder, or a file in it is missing, damaged, or of another model. Damaged figures
            do not raise; they are left out, and ``problems`` says so.
        ConfigError: its configuration breaks a rule.
        ValueError: there is no such device.
        UserError: ``cuda`` was requested and there is no GPU.
        PluginError: it is an exported model of a plugin that is not loaded.

    Example:
        >>> import iafsweep
        >>> iafsweep.load_run("runs/best").config.data.source
        'mnist_mini'
    """
    where = resolve_device(device)
    folder = RunFolder(Path(path).expanduser().absolute())
    if folder.path.is_file():
        raise RunFolderError(f"{folder.path} is a file; name the folder of a run or of an exported model")
    if (folder.path / "trials.jsonl").exists() and not folder.config.exists():
        raise RunFolderError(
            f"{folder.path} is a sweep folder; read it with iafsweep.load_sweep, or read one of its "
            f"trials from {folder.path}/trials"
        )
    trained, origin = None, None
    if weights_of(folder).exists():
        trained, origin = read_model(folder, where)
        config, checkpoint, epoch = trained.config, origin.checkpoint, trained.epoch
    else:
        config = folder.read_config()
        if card_of(folder).exists() and not folder.last.exists() and not folder.best.exists():
            raise RunFolderError(
                f"{weights_of(folder)} is missing: this is an exported model without its weights; export it again"
            )
        checkpoint = config.evaluation.checkpoint
        with suppress(PluginError):  # the figures are known without the model
            trained = load_trained_model(folder, checkpoint, where)
        epoch = trained_epoch(folder, checkpoint) if trained is None else trained.epoch
    evaluation, problems = None, tuple[str, ...]()
    try:
        evaluation = own_figures(folder, checkpoint, epoch)
    except RunFolderError as error:
        problems = (f"the figures are left out: {error}",)
    run = Run(
        path=folder.path,
        config=config,
        epoch=epoch,
        metrics=tuple(read(folder.metrics)),
        evaluation=evaluation,
        problems=problems,
        _origin=origin,
        _images=images,
        _data_root=absolute_data_root(data_root),
        _device=where,
    )
    if trained is not None:
        run.model = _fixed(trained)
    return run


def _fixed(trained: TrainedModel) -> VAE:
    return trained.model.requires_grad_(requires_grad=False)


def own_figures(folder: RunFolder, checkpoint: Literal["best", "last"], epoch: int) -> Evaluation | None:
    """Return the figures of a checkpoint: those with its name, its epoch and, if recorded, the digest of its file.

    A model folder has no checkpoint file; there the name and the epoch decide.

    Args:
        folder: a run folder or a model folder.
        checkpoint: which checkpoint.
        epoch: the epoch that it holds.

    Returns:
        None if it was not scored, or the existing figures are of other weights.

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
