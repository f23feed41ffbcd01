"""Typed records that cross a boundary between stages, to and from JSON.

All figures are in nats per image; smaller is better for ``negative_elbo`` and ``nll``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

METRIC = "validation_negative_elbo"
"""The figure that schedules and ranks trials: the validation bound at full KL weight."""
DeviceChoice = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16"]
"""What networks compute in; densities and sums are float32 or more in either."""

MODE: Literal["min"] = "min"
"""Smaller is better."""


class Record(BaseModel):
    """A frozen record; numbers that are not finite are written as the strings JSON lacks ("NaN", "Infinity")."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class EpochMetrics(Record):
    """One line of ``metrics.jsonl``: what one training epoch gave.

    Attributes:
        epoch: epochs done, 1 after the first.
        kl_weight: weight of the KL term during the epoch, from 0 to 1.
        learning_rate: Adam's step size during the epoch.
        train_loss: mean training loss (KL term weighted), train mode.
        train_negative_elbo: mean of -log p(x|z) + log q(z|x) - log p(z) over the epoch, train mode, full KL weight.
        train_reconstruction: mean of -log p(x|z).
        train_kl: mean of log q(z|x) - log p(z).
        validation_negative_elbo: the bound on the validation images, eval mode, full KL weight; None without them.
        images_per_second: training images a second, neither validation nor compiling counted.
        seconds: seconds of the epoch, validation and compiling counted.
    """

    epoch: int
    kl_weight: float
    learning_rate: float
    train_loss: float
    train_negative_elbo: float
    train_reconstruction: float
    train_kl: float
    validation_negative_elbo: float | None
    images_per_second: float
    seconds: float


class Best(Record):
    """The best epoch so far, by the validation bound."""

    epoch: int
    validation_negative_elbo: float


Method = Literal["negative_elbo", "importance_sampling", "hais"]
Split = Literal["train", "validation", "test"]


class Round(Record):
    """One round of a search for a small error.

    Attributes:
        effort: samples of importance sampling, or temperatures of HAIS.
        nll: the figure with that effort, nats per image.
        half_nll: the same from half of the samples or chains.
        estimator_error: standard error from the estimator's own randomness alone.
    """

    effort: int
    nll: float
    half_nll: float
    estimator_error: float


class UntilErrorReport(Record):
    """How a search for a small error ended.

    Attributes:
        target: the error aimed at, nats per image.
        stopped_by: ``target`` if the last round met it, ``budget`` if no further round was allowed.
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
            ``nll`` says how much bias is left; None for a single sample or chain.
        effective_sample_size: mean over images of (sum w)^2 / sum w^2; None for the bound.
        log_weight_variance: mean over images of the variance of log-weights; None for the bound.
        pareto_k: mean over images of Pareto k-hat, where there is one; None where no image has one.
        untrusted_share: share of images whose log-weights vary by more than 1 or whose Pareto k-hat is above 0.7.
        settings: the method's settings in one line, such as ``1000 samples``.
        samples: samples (HAIS: chains) an image and binarisation.
        seed: seed of the estimator's noise.
        binarisation_seeds: seed of each fixed binarisation of the images.
        acceptance_rate: mean acceptance rate of HMC moves; None without them.
        step_size: frozen leapfrog step size; None without HMC.
        network_evaluations: evaluations of decoder (and flow) an image, all binarisations together.
        gradient_evaluations: how many of them with a gradient.
        seconds: wall-clock seconds, added up over shards; those of the pilot included.
        until_error: how the search for a small error ended; None if there was none.
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
    seconds: float
    until_error: UntilErrorReport | None = None


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
        untrusted_share: share of images whose log-weights vary by more than 1 one way or the other, or without a finite
            bound.
        settings: temperatures, leapfrog steps and chains in one line.
        seed: seed of images and noise.
        acceptance_rate: mean acceptance rate of HMC moves, both ways; None without moves.
        step_size: frozen leapfrog step size.
        gradient_evaluations: an image, each way.
        seconds: wall-clock seconds, added up over shards; those of the pilot included.
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


class PairedDifference(Record):
    """Two trials by one method, image by image.

    Attributes:
        method: how both were scored.
        split: which images.
        images: how many images both have figures of.
        first: a trial.
        second: another.
        difference: mean NLL of the first minus that of the second, nats per image; negative: the first is better.
        standard_error: its standard error over images.
    """

    method: Method
    split: Split
    images: int
    first: str
    second: str
    difference: float
    standard_error: float


class Evaluation(Record):
    """``evaluation.json``: every figure of one run, and what it was measured on.

    Attributes:
        checkpoint: ``best`` or ``last``.
        epoch: the epoch that checkpoint holds.
        parameters: trainable parameters of the model.
        device: where it was scored.
        estimates: the figures.
        sandwiches: bounds on images simulated from the model, one a start.
    """

    checkpoint: Literal["best", "last"]
    epoch: int
    parameters: int
    device: str
    estimates: tuple[Estimate, ...]
    sandwiches: tuple[SandwichEstimate, ...] = ()


RunStatus = Literal["running", "completed", "diverged", "interrupted"]


class RunState(Record):
    """``state.json`` of a run folder: how far the run is, kept beside the checkpoints for people and tools.

    Attributes:
        status: ``running`` until the run ends one way or another.
        epochs: epochs done.
        best: the best epoch, None without validation or before the first epoch.
        seconds: training seconds so far, interruptions not counted.
        parameters: trainable parameters.
        precision: what the networks compute in during training.
        compiled: whether the training step is compiled.
        compile_seconds: how many of the seconds were spent compiling, in all processes that the run went through.
    """

    status: RunStatus
    epochs: int
    best: Best | None
    seconds: float
    parameters: int
    precision: Precision = "float32"
    compiled: bool = False
    compile_seconds: float = 0.0


class TextTable(Record):
    """A table for people: text in cells, ready for a terminal, Markdown or HTML.

    Attributes:
        header: names of the columns.
        rows: the cells, a row each, as many as the header has.
        notes: lines to print below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


TrialStatus = Literal["pending", "running", "completed", "stopped", "diverged", "failed", "oom", "interrupted"]
"""How a trial stands; ``stopped`` is early, by the scheduler; ``oom`` ran out of GPU memory."""


class LeaderboardRow(Record):
    """One trial on the leaderboard.

    Attributes:
        rank: 1 for the best validation bound among completed trials, None for others; set by ``leaderboard.ranked``.
        trial: the trial's id, unique in the sweep.
        status: how it ended.
        parameters: value of each searched parameter that was active, by its dotted path.
        epochs: epochs done.
        best_epoch: the epoch of the best validation bound, which is the one scored.
        validation_negative_elbo: the bound on the validation images at that epoch, full KL weight.
        validation_images: how many images that is.
        test_negative_elbo: the one-sample bound on test images.
        test_negative_elbo_images: how many images that is.
        nll_importance_sampling: test NLL by importance sampling.
        nll_importance_sampling_error: its standard error over images.
        nll_importance_sampling_images: how many images it rests on.
        nll_importance_sampling_samples: samples an image.
        nll_importance_sampling_estimator_error: standard error from the estimator's own randomness alone.
        nll_importance_sampling_untrusted: share of images whose weights say that the figure should not be trusted.
        nll_hais: test NLL by HAIS.
        nll_hais_error: its standard error over images.
        nll_hais_images: how many images it rests on.
        nll_hais_estimator_error: standard error from the estimator's own randomness alone.
        nll_hais_settings: start, temperatures, leapfrog steps and chains in one line.
        nll_hais_untrusted: share of images whose weights say that the figure should not be trusted.
        nll_importance_sampling_on_hais_images: importance sampling on the very images of HAIS, to compare the two.
        nll_importance_sampling_on_hais_images_error: its standard error over those images.
        retrained_seeds: seeds that the configuration was trained with again, from scratch.
        retrained_test_negative_elbo: mean of their one-sample bounds on test images.
        retrained_test_negative_elbo_spread: standard deviation of one seed's.
        retrained_nll_importance_sampling: mean of their test NLLs by importance sampling.
        retrained_nll_importance_sampling_spread: standard deviation of one seed's.
        retrained_nll_hais: mean of their test NLLs by HAIS.
        retrained_nll_hais_spread: standard deviation of one seed's.
        hais_gap: upper minus lower bound on images simulated from the model, with HAIS's own settings.
        hais_gap_error: its standard error over those images.
        hais_gap_images: how many images were simulated.
        parameters_count: trainable parameters.
        seconds_per_epoch: training seconds of an epoch.
        pareto: whether no completed trial has both a lower bound and faster epochs; set by ``leaderboard.ranked``.
        seconds: training seconds.
        gpu_seconds: training seconds times GPUs held.
        seed: seed of the training.
        checkpoint: path of the scored checkpoint, relative to the sweep folder.
        error: one line that says what went wrong.
    """

    rank: int | None = None
    trial: str
    status: TrialStatus
    parameters: dict[str, bool | int | float | str] = {}
    epochs: int = 0
    best_epoch: int | None = None
    validation_negative_elbo: float | None = None
    validation_images: int | None = None
    test_negative_elbo: float | None = None
    test_negative_elbo_images: int | None = None
    nll_importance_sampling: float | None = None
    nll_importance_sampling_error: float | None = None
    nll_importance_sampling_images: int | None = None
    nll_importance_sampling_samples: int | None = None
    nll_importance_sampling_estimator_error: float | None = None
    nll_importance_sampling_untrusted: float | None = None
    nll_hais: float | None = None
    nll_hais_error: float | None = None
    nll_hais_images: int | None = None
    nll_hais_estimator_error: float | None = None
    nll_hais_settings: str | None = None
    nll_hais_untrusted: float | None = None
    nll_importance_sampling_on_hais_images: float | None = None
    nll_importance_sampling_on_hais_images_error: float | None = None
    retrained_seeds: int | None = None
    retrained_test_negative_elbo: float | None = None
    retrained_test_negative_elbo_spread: float | None = None
    retrained_nll_importance_sampling: float | None = None
    retrained_nll_importance_sampling_spread: float | None = None
    retrained_nll_hais: float | None = None
    retrained_nll_hais_spread: float | None = None
    hais_gap: float | None = None
    hais_gap_error: float | None = None
    hais_gap_images: int | None = None
    parameters_count: int | None = None
    seconds_per_epoch: float | None = None
    pareto: bool | None = None
    seconds: float | None = None
    gpu_seconds: float | None = None
    seed: int | None = None
    checkpoint: str | None = None
    error: str | None = None
