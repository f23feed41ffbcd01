"""Results of scoring: figures, searches for a small error, bounds on simulated images, paired differences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from iafsweep.records.base import Record
from iafsweep.records.beside import details_of
from iafsweep.records.bits import bits_per_dim

Method = Literal["negative_elbo", "importance_sampling", "hais"]
FigureKind = Method | Literal["sandwich"]
"""What scoring can measure: the figure of a method, or the bounds on simulated images."""
Split = Literal["train", "validation", "test"]
METHOD_NAMES: Mapping[Method, str] = {"negative_elbo": "negative ELBO", "importance_sampling": "IS", "hais": "HAIS"}
"""Display names of the methods."""
FIGURE_NAMES: Mapping[Method, str] = {
    "negative_elbo": "negative ELBO",
    "importance_sampling": "NLL, IS",
    "hais": "NLL, HAIS",
}
"""Display names of the figures: what is measured, and by which method."""


class Fingerprint(Record):
    """Identity of a set of images: their number, the shape of one, and the BLAKE2b hash of their bytes in order."""

    count: int
    shape: tuple[int, ...]
    checksum: str

    def __str__(self) -> str:
        return f"{self.count:,} images of {'x'.join(map(str, self.shape))}, checksum {self.checksum[:8]}"


class Round(Record):
    """One round of a search for a small error.

    Attributes:
        effort: number of samples of importance sampling, or of temperatures of HAIS.
        nll: the figure with that effort, nats per image.
        half_nll: the figure with half the effort. For HAIS it is that of the round before, and None in the first round
            (an earlier version took half of the chains, which hardly reveals bias).
        estimator_error: standard error from the estimator's own randomness alone.
    """

    effort: int
    nll: float
    half_nll: float | None
    estimator_error: float


class UntilErrorReport(Record):
    """How a search for a small error ended.

    Attributes:
        target: the target error, nats per image.
        stopped_by: ``target`` if the last round met it, ``budget`` if no further round was allowed. Meeting the target
            guarantees nothing: the figure's ``untrusted_share`` says whether to believe it.
        rounds: the rounds, each with twice the effort of the one before.
        network_evaluations: network evaluations per image, over all rounds.
    """

    target: float
    stopped_by: Literal["target", "budget"]
    rounds: tuple[Round, ...]
    network_evaluations: int


class Estimate(Record):
    """One figure: an estimate of a split's mean negative log-likelihood, or of a bound on it.

    With several binarisations, the figure of an image is the mean of its log-likelihoods over them, and the standard
    error over images is that of these means.

    Attributes:
        method: how it was estimated; ``negative_elbo`` is the one-sample bound.
        split: which images.
        images: how many of them, counted from the first.
        nll: the mean over images, nats per image.
        standard_error: standard error of that mean over images (the images are the sample).
        estimator_error: standard error from the estimator's own randomness alone; None if it cannot be estimated.
        half_nll: the same figure from half of the samples or chains (the mean over both halves). Its distance from
            ``nll`` reveals bias, but little of the bias that more temperatures would remove; None for a single sample
            or chain.
        effective_sample_size: mean over images of (sum w)^2 / sum w^2; None for the bound.
        log_weight_variance: mean over images of the variance of log-weights; None for the bound.
        pareto_k: mean of Pareto k-hat over the images that have one; None if no image has one.
        untrusted_share: share of images whose log-weights vary by more than 1 or may (upper 95 % limit) by more than 2,
            or whose Pareto k-hat is above 0.7.
        settings: the method's settings in one line, such as ``1000 samples``.
        samples: samples (HAIS: chains) per image and binarisation.
        seed: seed of the estimator's noise.
        binarisation_seeds: seed of each fixed binarisation of the images.
        acceptance_rate: mean acceptance rate of HMC moves; None without them.
        step_size: frozen leapfrog step size; None without HMC.
        network_evaluations: evaluations of the decoder (and flow) per image, over all binarisations.
        gradient_evaluations: how many of them include a gradient.
        seconds: wall-clock seconds, summed over shards and including the pilot. None if unknown, as for a figure of
            only some of a shard's images.
        until_error: how the search for a small error ended; None if there was none.
        dimensions: values per image, for bits per dimension; None for binary images.
        autoregressive: whether the decoder is autoregressive.
    """

    method: Method
    split: Split
    images: int
    nll: float
    standard_error: float
    estimator_error: float | None = None
    half_nll: float | None = None
    effective_sample_size: float | None = None
    log_weight_variance: float | None = None
    pareto_k: float | None = None
    untrusted_share: float | None = None
    settings: str
    samples: int
    seed: int
    binarisation_seeds: tuple[int, ...]
    acceptance_rate: float | None = None
    step_size: float | None = None
    network_evaluations: int
    gradient_evaluations: int
    seconds: float | None
    until_error: UntilErrorReport | None = None
    dimensions: int | None = None
    autoregressive: bool = False

    @property
    def bits_per_dim(self) -> float | None:
        """The figure in bits per dimension; None for binary images."""
        return bits_per_dim(self.nll, self.dimensions)

    @property
    def details(self) -> tuple[str, ...]:
        """The details shown with the figure."""
        return details_of(self.bits_per_dim, autoregressive=self.autoregressive)

    @property
    def made_with(self) -> tuple[object, ...]:
        """Key that identifies a figure: two estimates with equal keys are the same figure."""
        step_size = None if self.step_size is None else f"{self.step_size:.3g}"  # later digits depend on the machine
        return self.method, self.split, self.settings, self.images, self.binarisation_seeds, self.seed, step_size

    def is_shown(self, show: Sequence[str]) -> bool:
        """Return whether to show this figure: its settings are asked for, or none of its method are.

        Args:
            show: settings as in tables, such as ``5,000 samples``, ``posterior 40x4x16`` or, where figures differ in
                their numbers of images, ``posterior 40x4x16 on 100 images``.
        """
        wanted = [each for each in show if ("sample" in each) == (self.method == "importance_sampling")]
        return self.method == "negative_elbo" or not wanted or any(map(self.is_made_with, wanted))

    def is_made_with(self, show: str) -> bool:
        """Return whether ``show`` matches its settings and, if stated, its number of images."""
        settings, _, images = show.replace(",", "").replace(":", " ").partition(" on ")
        return self.settings == settings.strip() and images.removesuffix(" images") in ("", str(self.images))


def shown_figures(estimates: Iterable[Estimate], show: Sequence[str] = ()) -> dict[tuple[Method, Split], Estimate]:
    """Return the figure that tables show for each method and split: on most images, and among these the lowest.

    All are bounds in expectation, so of two on the same images the lower one is closer. Of equal ones, the first is
    taken.

    Args:
        estimates: the figures of a run.
        show: settings to choose among instead, see :meth:`Estimate.is_shown`.
    """
    found: dict[tuple[Method, Split], Estimate] = {}
    for each in estimates:
        before = found.get((each.method, each.split))
        if each.is_shown(show) and (before is None or _place(each) < _place(before)):
            found[each.method, each.split] = each
    return found


def _place(each: Estimate) -> tuple[int, float]:
    return -each.images, math.inf if math.isnan(each.nll) else each.nll


class SandwichEstimate(Record):
    """Bidirectional Monte Carlo: bounds on the mean log p(x) of images simulated from the model, nats per image.

    Attributes:
        start: where the forward chains start.
        images: how many images were simulated.
        lower: mean of the lower bounds (forward chains).
        lower_error: its standard error over images.
        upper: mean of the upper bounds (reverse chains from exact posterior samples).
        upper_error: its standard error over images.
        gap: mean over images of upper minus lower bound; infinite if a bound could not be computed.
        gap_error: its standard error over images.
        untrusted_share: share of images whose log-weights vary by more than 1 in either direction, or may (upper 95 %
            limit) by more than 2, or that lack a finite bound.
        settings: temperatures, leapfrog steps and chains in one line.
        seed: seed of images and noise.
        acceptance_rate: mean acceptance rate of HMC moves in both directions; None without moves.
        step_size: frozen leapfrog step size.
        gradient_evaluations: gradient evaluations per image and direction.
        seconds: wall-clock seconds, summed over shards and including the pilot.
        dimensions: values per image, for bits per dimension; None for binary images.
        autoregressive: whether the decoder is autoregressive.
    """

    start: Literal["posterior", "prior", "base"]
    images: int
    lower: float
    lower_error: float
    upper: float
    upper_error: float
    gap: float
    gap_error: float
    untrusted_share: float
    settings: str
    seed: int
    acceptance_rate: float | None
    step_size: float
    gradient_evaluations: int
    seconds: float
    dimensions: int | None = None
    autoregressive: bool = False

    def bits_per_dim(self, bound: float) -> float | None:
        """Return the NLL that belongs to a bound on log p(x), in bits per dimension; None for binary images."""
        return bits_per_dim(-bound, self.dimensions)

    def details(self, bound: float) -> tuple[str, ...]:
        """Return the details shown with a bound."""
        return details_of(self.bits_per_dim(bound), autoregressive=self.autoregressive)

    @property
    def made_with(self) -> tuple[object, ...]:
        """Key that identifies an estimate: two with equal keys are the same."""
        return self.start, self.settings, self.images, self.seed, f"{self.step_size:.3g}"

    @property
    def hais_settings(self) -> str:
        """Start and settings in one line, as in :class:`Estimate` for HAIS."""
        return f"{self.start} {self.settings}"


def sandwich_beside(hais: Estimate | None, sandwiches: Iterable[SandwichEstimate]) -> SandwichEstimate | None:
    """Return the bounds to show with a HAIS figure: those with its start and settings, if there are any.

    Otherwise those with its start, or else any: a search for a small error may have changed the settings of the figure,
    or a later rerun may have measured HAIS again but not the bounds. Of several, those on most images are taken, and of
    these the first, which are the latest. None if there are no bounds.
    """
    own = "" if hais is None else hais.settings
    start = own.partition(" ")[0]
    return min(
        sandwiches, key=lambda each: (each.hais_settings != own, each.start != start, -each.images), default=None
    )


class PairedDifference(Record):
    """Difference between two trials by one method, paired by image.

    Attributes:
        method: how both were scored.
        split: which images.
        settings: settings of the method in one line, the same for both.
        images: number of images that both have figures of.
        first: the first trial.
        second: the second trial.
        difference: mean NLL of the first minus that of the second, nats per image; negative: the first is better.
        standard_error: its standard error over images.
        first_autoregressive: whether the decoder of the first is autoregressive.
        second_autoregressive: the same for the second.
    """

    method: Method
    split: Split
    settings: str
    images: int
    first: str
    second: str
    difference: float
    standard_error: float
    first_autoregressive: bool = False
    second_autoregressive: bool = False


class Evaluation(Record):
    """``evaluation.json``: every figure of one run, and what it was measured on.

    Attributes:
        checkpoint: ``best`` or ``last``.
        epoch: the epoch of that checkpoint.
        parameters: number of trainable parameters of the model.
        device: device it was scored on; figures kept from an earlier scoring may come from another.
        estimates: the figures.
        sandwiches: bounds on images simulated from the model, one entry per start, the latest first.
        checkpoint_digest: the first 16 digits of the checkpoint file's SHA-256; None if an earlier version wrote this.
    """

    checkpoint: Literal["best", "last"]
    epoch: int
    parameters: int
    device: str
    estimates: tuple[Estimate, ...]
    sandwiches: tuple[SandwichEstimate, ...] = ()
    checkpoint_digest: str | None = None

    @property
    def autoregressive(self) -> bool:
        """Whether the decoder is autoregressive."""
        return any(each.autoregressive for each in self.estimates) or any(
            each.autoregressive for each in self.sandwiches
        )
