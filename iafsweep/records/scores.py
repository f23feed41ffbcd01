"""What scoring gives: figures, searches for a small error, bounds on simulated images, differences."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from iafsweep.records.base import Record
from iafsweep.records.beside import details_of
from iafsweep.records.bits import bits_per_dim

Method = Literal["negative_elbo", "importance_sampling", "hais"]
FigureKind = Method | Literal["sandwich"]
"""What can be asked for: a method's figure, or the bounds on simulated images."""
Split = Literal["train", "validation", "test"]
METHOD_NAMES: Mapping[Method, str] = {"negative_elbo": "negative ELBO", "importance_sampling": "IS", "hais": "HAIS"}
"""The methods as people read them."""
FIGURE_NAMES: Mapping[Method, str] = {
    "negative_elbo": "negative ELBO",
    "importance_sampling": "NLL, IS",
    "hais": "NLL, HAIS",
}
"""What each method measures, and by which."""


class Fingerprint(Record):
    """What tells images from others: how many, the shape of one, BLAKE2b of their bytes in their order."""

    count: int
    shape: tuple[int, ...]
    checksum: str

    def __str__(self) -> str:
        return f"{self.count:,} images of {'x'.join(map(str, self.shape))}, checksum {self.checksum[:8]}"


class Round(Record):
    """One round of a search for a small error.

    Attributes:
        effort: samples of importance sampling, or temperatures of HAIS.
        nll: the figure with that effort, nats per image.
        half_nll: the same from half of the effort: of the samples; of the temperatures, which is the round before, so
            that there is None in the first (an earlier version took half of the chains, which hardly shows bias).
        estimator_error: standard error from the estimator's own randomness alone.
    """

    effort: int
    nll: float
    half_nll: float | None
    estimator_error: float


class UntilErrorReport(Record):
    """How a search for a small error ended.

    Attributes:
        target: the error aimed at, nats per image.
        stopped_by: ``target`` if the last round met it, ``budget`` if no further round was allowed. A target met
            is no warrant: the figure's ``untrusted_share`` says whether to believe it.
        rounds: each with twice the effort of the one before.
        network_evaluations: of all rounds, an image.
    """

    target: float
    stopped_by: Literal["target", "budget"]
    rounds: tuple[Round, ...]
    network_evaluations: int


class Estimate(Record):
    """One figure: an estimate of a split's mean negative log-likelihood, or of a bound on it.

    With several binarisations an image's figure is the mean of its log-likelihoods over them, and the standard error
    over images is that of these means.

    Attributes:
        method: how it was estimated; ``negative_elbo`` is the one-sample bound.
        split: which images.
        images: how many of them (the first so many).
        nll: the mean over images, nats per image.
        standard_error: standard error of that mean over images (the images are the sample).
        estimator_error: standard error from the estimator's own randomness alone; None where it cannot be had.
        half_nll: the same figure from half of the samples or chains (the mean over both halves): how far it is from
            ``nll`` shows bias, though little of that which more temperatures would mend; None for a single sample or
            chain.
        effective_sample_size: mean over images of (sum w)^2 / sum w^2; None for the bound.
        log_weight_variance: mean over images of the variance of log-weights; None for the bound.
        pareto_k: mean over images of Pareto k-hat, where there is one; None where no image has one.
        untrusted_share: share of images whose log-weights vary by more than 1 or may (upper 95 % limit) by more than 2,
            or whose Pareto k-hat is above 0.7.
        settings: the method's settings in one line, such as ``1000 samples``.
        samples: samples (HAIS: chains) an image and binarisation.
        seed: seed of the estimator's noise.
        binarisation_seeds: seed of each fixed binarisation of the images.
        acceptance_rate: mean acceptance rate of HMC moves; None without them.
        step_size: frozen leapfrog step size; None without HMC.
        network_evaluations: evaluations of decoder (and flow) an image, all binarisations together.
        gradient_evaluations: how many of them with a gradient.
        seconds: wall-clock seconds, added up over shards; those of the pilot included. None if they are not known: a
            figure of some of the images of a shard.
        until_error: how the search for a small error ended; None if there was none.
        dimensions: values of an image, over which bits per dimension are told; None of images that are bits.
        autoregressive: whether the model's pixels follow each other, given z.
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
        """The figure in bits per dimension; None of bits."""
        return bits_per_dim(self.nll, self.dimensions)

    @property
    def details(self) -> tuple[str, ...]:
        """What stands beside the figure wherever it is shown."""
        return details_of(self.bits_per_dim, autoregressive=self.autoregressive)

    @property
    def made_with(self) -> tuple[object, ...]:
        """What tells a figure from others of its method and split; two that are equal in it are the same figure."""
        step_size = None if self.step_size is None else f"{self.step_size:.3g}"  # the last digits are the machine's
        return self.method, self.split, self.settings, self.images, self.binarisation_seeds, self.seed, step_size

    def is_shown(self, show: Sequence[str]) -> bool:
        """Whether the settings asked for are its own; any are where none of its method were asked for.

        Args:
            show: settings as tables write them, such as ``5,000 samples``, ``posterior 40x4x16`` or, where figures
                rest on different numbers of images, ``posterior 40x4x16 on 100 images``.
        """
        wanted = [each for each in show if ("sample" in each) == (self.method == "importance_sampling")]
        return self.method == "negative_elbo" or not wanted or any(map(self.is_made_with, wanted))

    def is_made_with(self, show: str) -> bool:
        """Whether these are its settings, and, if they say it, its number of images."""
        settings, _, images = show.replace(",", "").replace(":", " ").partition(" on ")
        return self.settings == settings.strip() and images.removesuffix(" images") in ("", str(self.images))


def shown_figures(estimates: Iterable[Estimate], show: Sequence[str] = ()) -> dict[tuple[Method, Split], Estimate]:
    """Return the figure of each method and split that tables show: on most images, and of those the lowest.

    All are bounds in expectation, so that of two on the same images the lower is nearer; the first of equal ones.

    Args:
        estimates: the figures of a run.
        show: settings to show instead, see :meth:`Estimate.is_shown`.
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
        gap: upper minus lower, the mean over images; infinite if a bound could not be computed.
        gap_error: its standard error over images.
        untrusted_share: share of images whose log-weights vary by more than 1 one way or the other, or may (upper 95 %
            limit) by more than 2, or without a finite bound.
        settings: temperatures, leapfrog steps and chains in one line.
        seed: seed of images and noise.
        acceptance_rate: mean acceptance rate of HMC moves, both ways; None without moves.
        step_size: frozen leapfrog step size.
        gradient_evaluations: an image, each way.
        seconds: wall-clock seconds, added up over shards; those of the pilot included.
        dimensions: values of an image, over which bits per dimension are told; None of images that are bits.
        autoregressive: whether the model's pixels follow each other, given z.
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
        """Return a bound on log p(x) as bits per dimension of the NLL that it bounds; None of bits."""
        return bits_per_dim(-bound, self.dimensions)

    def details(self, bound: float) -> tuple[str, ...]:
        """Return what stands beside a bound wherever it is shown."""
        return details_of(self.bits_per_dim(bound), autoregressive=self.autoregressive)

    @property
    def made_with(self) -> tuple[object, ...]:
        """What tells it from others; two that are equal in it are the same."""
        return self.start, self.settings, self.images, self.seed, f"{self.step_size:.3g}"

    @property
    def hais_settings(self) -> str:
        """Start and settings in one line, as :class:`Estimate` has those of HAIS."""
        return f"{self.start} {self.settings}"


def sandwich_beside(hais: Estimate | None, sandwiches: Iterable[SandwichEstimate]) -> SandwichEstimate | None:
    """Return the bounds to show beside a figure of HAIS: with its own start and settings, if there are such.

    Else those from its start, with whatever settings (a search for a small error may have gone on to others, and a
    later rerun measures HAIS anew but not the bounds); of several those on most images, and of these the first, which
    are the latest. None where there are none.
    """
    own = "" if hais is None else hais.settings
    start = own.partition(" ")[0]
    return min(
        sandwiches, key=lambda each: (each.hais_settings != own, each.start != start, -each.images), default=None
    )


class PairedDifference(Record):
    """Two trials by one method, image by image.

    Attributes:
        method: how both were scored.
        split: which images.
        settings: of the method, the same for both, in one line.
        images: how many images both have figures of.
        first: a trial.
        second: another.
        difference: mean NLL of the first minus that of the second, nats per image; negative: the first is better.
        standard_error: its standard error over images.
        first_autoregressive: whether the decoder of the first is autoregressive.
        second_autoregressive: whether that of the second is.
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
        epoch: the epoch that checkpoint holds.
        parameters: trainable parameters of the model.
        device: where it was scored; figures kept from an earlier rerun may be of another place.
        estimates: the figures.
        sandwiches: bounds on images simulated from the model, one a start, those measured last in front.
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
        """Whether the model's pixels follow each other, given z."""
        return any(each.autoregressive for each in self.estimates) or any(
            each.autoregressive for each in self.sandwiches
        )
