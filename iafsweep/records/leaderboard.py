"""One trial on the leaderboard, and a figure of it."""

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
"""How a trial stands; ``stopped`` is early, by the scheduler; ``oom`` ran out of memory."""


class Figure(Record):
    """One figure of a trial, nats per image, with what it rests on.

    Attributes:
        value: the figure.
        images: how many images it rests on.
        error: its standard error over images; over seeds the standard deviation of one seed's figure. None where there
            is none: of the validation bound, of a single seed.
        estimator_error: standard error from the estimator's own randomness alone.
        untrusted: share of images whose weights say that the figure should not be trusted.
        settings: how it was measured, as :class:`Estimate` has it.
        samples: samples an image.
        seeds: of how many seeds it is the mean; None where it is a trial's own.
        dimensions: values of an image, over which bits per dimension are told; None of images that are bits.
        autoregressive: whether the model's pixels follow each other, given z.
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
        """The figure in bits per dimension; None of bits."""
        return bits_per_dim(self.value, self.dimensions)

    @property
    def details(self) -> tuple[str, ...]:
        """What stands beside the figure wherever it is shown."""
        return details_of(self.bits_per_dim, autoregressive=self.autoregressive)

    @staticmethod
    def of(estimate: Estimate) -> Figure:
        """Return an estimate as a figure."""
        alike = estimate.model_dump(
            include={"images", "estimator_error", "settings", "samples", "dimensions", "autoregressive"}
        )
        return Figure(value=estimate.nll, error=estimate.standard_error, untrusted=estimate.untrusted_share, **alike)


class Retrained(Record):
    """A configuration trained again from scratch, with several seeds, and scored.

    Attributes:
        seeds: how many.
        test_negative_elbo: mean of their one-sample bounds on test images, over those that were scored alike.
        nll_importance_sampling: likewise of their test NLLs by importance sampling.
        nll_hais: likewise by HAIS.
        bounds: validation bound of each that has completed, by its training seed, of all retrainings together; none of
            those that trained on the validation images too.
    """

    seeds: int
    test_negative_elbo: Figure | None = None
    nll_importance_sampling: Figure | None = None
    nll_hais: Figure | None = None
    bounds: dict[int, float] = {}

    @property
    def validation_negative_elbo(self) -> Figure | None:
        """Mean and spread over seeds of the validation bound; None where none has one."""
        if not (values := list(self.bounds.values())):
            return None
        error = statistics.stdev(values) if len(values) > 1 else None
        return Figure(value=statistics.fmean(values), error=error, seeds=len(values))


class WinnersCurse(Record):
    """By how much the best of many validation bounds is too good, as ``leaderboard.winners_curse`` estimates it.

    A configuration goes by its trial with the lowest bound. Nats per image.

    Attributes:
        trial: of rank 1.
        bound: its bound, which was chosen for being low.
        seed_deviation: standard deviation of one seed's bound around its configuration's mean.
        degrees_of_freedom: what that rests on: bounds less configurations.
        expected: the bound that one more seed of a configuration is expected to have, by trial, in the order of the
            ranks; of those near the top alone.
        probabilities: that a configuration's mean is the lowest of all, likewise; others have none.
        means: mean over seeds of the configurations that were trained with several, likewise; without a trial's own
            bound, which was chosen, where that is the only one in the sweep.
        seeds: how many seeds these are.
        top: so many in the order of the ranks hold the best with the probability ``confidence``.
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
        """How much higher than its bound here the best trial is expected to end with another seed."""
        return self.expected[self.trial] - self.bound


class LeaderboardRow(Record):
    """One trial on the leaderboard.

    Attributes:
        rank: 1 for the best validation bound among completed trials, None for others; set by ``leaderboard.ranked``.
        trial: the trial's id, unique in the sweep.
        status: how it ended.
        parameters: value of each searched parameter that was active, by its dotted path.
        epochs: epochs done.
        best_epoch: the epoch of the best validation bound, which is the one scored.
        validation_negative_elbo: the bound on the validation images at that epoch, full KL weight. It has no error:
            trials have the same images and bits, and differ by less than a standard error over images says.
        validation_images: how many images that is.
        expected_negative_elbo: what the bound of one more seed is expected to be, where the spread over seeds is known
            and the trial near the top; set by ``leaderboard.ranked``.
        best_probability: that the mean bound of its configuration over seeds is the lowest of all, likewise.
        train_negative_elbo: the training bound of the same epoch, train mode; None where its run folder does not tell.
        settling: momentum of batch norm x steps up to that epoch; below 5 its moving averages have not settled, and
            bounds and test figures are far too high. None without batch norm, or without a bound.
        test_negative_elbo: the one-sample bound on test images.
        nll_importance_sampling: test NLL by importance sampling.
        nll_hais: test NLL by HAIS.
        nll_importance_sampling_on_hais_images: importance sampling on the very images of HAIS, to compare the two.
        retrained: the same configuration from scratch, with other seeds.
        hais_gap: upper minus lower bound on images simulated from the model, with HAIS. Its settings are those of
            ``nll_hais`` where they were measured; they may be others.
        training: what its training took so far; None before it began.
        seconds_per_epoch: median wall-clock seconds of an epoch, the first left out; where the run folder's record does
            not tell (one epoch, or the folder is gone), the mean, compiling not counted.
        pareto: whether no completed trial has both a lower bound and faster epochs; set by ``leaderboard.ranked``.
        gpu_seconds: training seconds times GPUs held.
        seed: seed of the training.
        checkpoint: path of the scored checkpoint, relative to the sweep folder.
        error: one line that says what went wrong.
        data: what its figures are measured on, in a line, as ``DataConfig.measured_on`` has it; None where it is not
            known.
        dimensions: values of an image, over which bits per dimension are told; None of images that are bits.
        autoregressive: whether the model's pixels follow each other, given z.
        latents: what they carry of the bound at ``best_epoch``; None where the run folder does not tell.
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
        """The validation bound in bits per dimension; None of bits."""
        bound = self.validation_negative_elbo
        return None if bound is None else bits_per_dim(bound, self.dimensions)


class FigureCell(Record):
    """A cell with a figure.

    Attributes:
        value: the figure.
        error: what stands behind its ±; None where there is none.
        untrusted: share of untrusted images; None where nothing tells.
        details: what tells it from others of its column.
    """

    value: float
    error: float | None = None
    untrusted: float | None = None
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(self.parts)

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """Its texts in their order: figure, error, untrusted share and details, each with what goes before it."""
        return (
            f"{self.value:.2f}",
            "" if self.error is None else f" ± {self.error:.2f}",
            f", {self.untrusted:.0%} untrusted" if self.untrusted else "",
            details_text(self.details),
        )


class ShareCell(Record):
    """A cell with a share of untrusted images."""

    untrusted: float

    def __str__(self) -> str:
        return f"{self.untrusted:.0%}"


class TextTable(Record):
    """A table for people: text in cells, and figures, which know their text, for a terminal, Markdown or HTML.

    Attributes:
        header: names of the columns.
        rows: the cells, a row each, as many as the header has.
        notes: lines to print below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str | FigureCell | ShareCell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """The cells of each row as text."""
        return tuple(tuple(map(str, row)) for row in self.rows)
