"""Rows of the leaderboard, their figures, and table cells."""

from __future__ import annotations

import statistics
from typing import Literal

from iafsweep.records.base import Record
from iafsweep.records.beside import details_of, details_text
from iafsweep.records.bits import bits_per_dim
from iafsweep.records.latents import Latents
from iafsweep.records.run import TrainingFacts
from iafsweep.records.scores import Estimate

TrialStatus = Literal["pending", "running", "completed", "stopped", "diverged", "failed", "oom", "interrupted"]
"""Status of a trial; ``stopped``: stopped early by the scheduler; ``oom``: out of memory."""


class Figure(Record):
    """One figure of a trial, nats per image, with how it was measured.

    Attributes:
        value: the figure.
        images: number of images it was measured on.
        error: its standard error over images; for a mean over seeds, the standard deviation across seeds. None for the
            validation bound and for a single seed.
        estimator_error: standard error from the estimator's own randomness alone.
        untrusted: share of images whose weights show that the figure should not be trusted.
        settings: how it was measured, as in :class:`Estimate`.
        samples: samples per image.
        seeds: number of seeds that it is the mean of; None for a figure of the trial itself.
        dimensions: values per image, for bits per dimension; None for binary images.
        autoregressive: whether the decoder is autoregressive.
    """

    value: float
    images: int | None = None
    error: float | None = None
    estimator_error: float | None = None
    untrusted: float | None = None
    settings: str | None = None
    samples: int | None = None
    seeds: int | None = None
    dimensions: int | None = None
    autoregressive: bool = False

    @property
    def bits_per_dim(self) -> float | None:
        """The figure in bits per dimension; None for binary images."""
        return bits_per_dim(self.value, self.dimensions)

    @property
    def details(self) -> tuple[str, ...]:
        """The details shown with the figure."""
        return details_of(self.bits_per_dim, autoregressive=self.autoregressive)

    @staticmethod
    def of(estimate: Estimate) -> Figure:
        """Return an estimate as a figure."""
        alike = estimate.model_dump(
            include={"images", "estimator_error", "settings", "samples", "dimensions", "autoregressive"}
        )
        return Figure(value=estimate.nll, error=estimate.standard_error, untrusted=estimate.untrusted_share, **alike)


class Retrained(Record):
    """A configuration trained again from scratch with several seeds, and scored.

    Attributes:
        seeds: number of seeds.
        test_negative_elbo: mean over seeds of the one-sample bound on test images, for runs scored in the same way.
        nll_importance_sampling: the same for the test NLL by importance sampling.
        nll_hais: the same for the test NLL by HAIS.
        bounds: validation bound of each completed run by its training seed, over all retrainings; runs that also
            trained on the validation images are left out.
    """

    seeds: int
    test_negative_elbo: Figure | None = None
    nll_importance_sampling: Figure | None = None
    nll_hais: Figure | None = None
    bounds: dict[int, float] = {}

    @property
    def validation_negative_elbo(self) -> Figure | None:
        """Mean and standard deviation over seeds of the validation bound; None if there are no bounds."""
        if not (values := list(self.bounds.values())):
            return None
        error = statistics.stdev(values) if len(values) > 1 else None
        return Figure(value=statistics.fmean(values), error=error, seeds=len(values))


class WinnersCurse(Record):
    """By how much the best of many validation bounds is too good, as ``leaderboard.winners_curse`` estimates it.

    A configuration is named by its trial with the lowest bound. All figures are in nats per image.

    Attributes:
        trial: the trial of rank 1.
        bound: its bound, which was chosen because it is low.
        seed_deviation: standard deviation of one seed's bound around its configuration's mean.
        degrees_of_freedom: degrees of freedom of ``seed_deviation``: sum of m - 1 over configurations with m bounds
            that were not selected.
        expected: expected bound of one more seed, by trial, in the order of ranks; far from the top, the own mean.
        probabilities: probability that the mean of each configuration is the lowest of all; 0 far from the top.
        means: mean over seeds of each configuration trained with several. A trial's own bound is left out if it is
            the only one in the sweep, since it was selected.
        seeds: number of seeds behind each of ``means``.
        top: the number of first ranks that include the true best with a probability of at least ``confidence``.
        confidence: 90%.
    """

    trial: str
    bound: float
    seed_deviation: float
    degrees_of_freedom: int
    expected: dict[str, float]
    probabilities: dict[str, float]
    means: dict[str, float]
    seeds: dict[str, int]
    top: int
    confidence: float

    @property
    def regression(self) -> float:
        """How much higher the bound of the best trial is expected to be with another seed."""
        return self.expected[self.trial] - self.bound


class LeaderboardRow(Record):
    """One trial on the leaderboard.

    Attributes:
        rank: 1 for the best validation bound among completed trials, None for others; set by ``leaderboard.ranked``.
        trial: the trial's id, unique in the sweep.
        status: how it ended.
        parameters: value of each active searched parameter, by its dotted path.
        epochs: completed epochs.
        best_epoch: the epoch with the best validation bound, which is scored.
        validation_negative_elbo: the bound on the validation images at that epoch, full KL weight. It has no error:
            trials share images and bits, so their differences are smaller than a standard error over images suggests.
        validation_images: number of validation images.
        expected_negative_elbo: expected bound of one more seed, if the standard deviation over seeds is known, for the
            best trial of each configuration; set by ``leaderboard.ranked``.
        best_probability: probability that its configuration has the lowest mean bound over seeds, for the same trials.
        train_negative_elbo: the training bound of the same epoch, train mode; None if its run folder has no record.
        settling: momentum of batch norm x steps up to that epoch; below 5 its moving averages have not settled, and
            bounds and test figures are far too high. None without batch norm, or without a bound.
        test_negative_elbo: the one-sample bound on test images.
        nll_importance_sampling: test NLL by importance sampling.
        nll_hais: test NLL by HAIS.
        nll_importance_sampling_on_hais_images: importance sampling on exactly the HAIS images, for comparison.
        retrained: the same configuration trained from scratch with other seeds.
        hais_gap: upper minus lower bound on images simulated from the model, with HAIS. Its settings are those of
            ``nll_hais`` if the bounds were measured with these, else others.
        training: cost of its training so far; None before it began.
        seconds_per_epoch: median wall-clock seconds of an epoch, without the first; if the run folder does not record
            it (one epoch, or the folder is gone), the mean without compiling.
        pareto: whether no completed trial has both a lower bound and faster epochs; set by ``leaderboard.ranked``.
        gpu_seconds: training seconds times GPUs held.
        seed: seed of the training.
        checkpoint: path of the scored checkpoint, relative to the sweep folder.
        error: what went wrong, in one line.
        data: what its figures are measured on, as in ``DataConfig.measured_on``; None if unknown.
        dimensions: values per image, for bits per dimension; None for binary images.
        autoregressive: whether the decoder is autoregressive.
        latents: what the latent variables carry of the bound at ``best_epoch``; None if the run folder has no record.
    """

    rank: int | None = None
    trial: str
    status: TrialStatus
    parameters: dict[str, bool | int | float | str] = {}
    epochs: int = 0
    best_epoch: int | None = None
    validation_negative_elbo: float | None = None
    validation_images: int | None = None
    expected_negative_elbo: float | None = None
    best_probability: float | None = None
    train_negative_elbo: float | None = None
    settling: float | None = None
    test_negative_elbo: Figure | None = None
    nll_importance_sampling: Figure | None = None
    nll_hais: Figure | None = None
    nll_importance_sampling_on_hais_images: Figure | None = None
    retrained: Retrained | None = None
    hais_gap: Figure | None = None
    training: TrainingFacts | None = None
    seconds_per_epoch: float | None = None
    pareto: bool | None = None
    gpu_seconds: float | None = None
    seed: int | None = None
    checkpoint: str | None = None
    error: str | None = None
    data: str | None = None
    dimensions: int | None = None
    autoregressive: bool = False
    latents: Latents | None = None

    @property
    def validation_bits_per_dim(self) -> float | None:
        """The validation bound in bits per dimension; None for binary images."""
        bound = self.validation_negative_elbo
        return None if bound is None else bits_per_dim(bound, self.dimensions)


class FigureCell(Record):
    """A table cell with a figure.

    Attributes:
        value: the figure.
        error: the error shown after ±; None if there is none.
        untrusted: share of untrusted images; None if unknown.
        details: details in which it differs from other figures of its column.
    """

    value: float
    error: float | None = None
    untrusted: float | None = None
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(self.parts)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Its texts in order: figure, error, untrusted share and details, each with its separator in front."""
        return (
            f"{self.value:.2f}",
            "" if self.error is None else f" ± {self.error:.2f}",
            f", {self.untrusted:.0%} untrusted" if self.untrusted else "",
            details_text(self.details),
        )


class ShareCell(Record):
    """A table cell with a share of untrusted images."""

    untrusted: float

    def __str__(self) -> str:
        return f"{self.untrusted:.0%}"


class TextTable(Record):
    """A table for a terminal, Markdown or HTML, whose cells are texts or figures that format themselves.

    Attributes:
        header: names of the columns.
        rows: the cells of each row, as many as the header has.
        notes: lines to print below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | FigureCell | ShareCell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The cells of each row as text."""
        return tuple(tuple(map(str, row)) for row in self.rows)
